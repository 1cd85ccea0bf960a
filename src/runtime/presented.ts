/** Servers whose clients' certificates come in a header of a load balancer. */
import { plainAddress } from '../identity/addresses.ts'
import { createCertificateHeader } from '../identity/certificate-header.ts'
import { XFCC } from '../identity/presets.ts'
import { PresentedCertificates } from '../listener/presented-certificates.ts'
import type { Phases, VirtualServer } from '../types.ts'
import type { ListenerServers } from './policies.ts'

export function createConnectionOf(
  servers: ListenerServers['servers'],
  trusted: { has(address: string): boolean },
): Phases['connectionOf'] {
  const presented = new Map<VirtualServer, PresentedCertificates>()
  for (const { virtual, config, policy } of servers) {
    const { certificate_header_format: format, certificate_header_name: name = XFCC } = config
    if (format === 'off') continue
    const header = createCertificateHeader(format, name)
    const isTrusted = ({ remoteAddress }: { remoteAddress: string }) => trusted.has(plainAddress(remoteAddress))
    presented.set(virtual, new PresentedCertificates({ header, policy, isTrusted }))
  }
  if (presented.size === 0) return (_server, connection) => connection
  return (server, connection, request) =>
    presented.get(server)?.connectionOf(connection, request.rawHeaders) ?? connection
}
