/** Servers whose clients' certificates come in a header of a load balancer. */
import type { MappedUsers } from '../auth/mapped-users.ts'
import type { Phases } from '../gateway.ts'
import { plainAddress } from '../identity/addresses.ts'
import { createCertificateHeader } from '../identity/certificate-header.ts'
import { XFCC } from '../identity/xfcc.ts'
import { accepts } from '../listener/admission.ts'
import { type Presented, PresentedCertificates } from '../listener/presented-certificates.ts'
import { PresentedStreams } from '../listener/presented-streams.ts'
import type { Log } from '../log/log.ts'
import type { VirtualServer } from '../types.ts'
import type { ListenerServers } from './policies.ts'

interface Presenting {
  readonly certificates: PresentedCertificates
  readonly streams: PresentedStreams
}

export function createConnectionOf(
  servers: ListenerServers['servers'],
  trusted: { has(address: string): boolean },
  { log, mappedUsers }: { log: Log; mappedUsers: MappedUsers },
): Phases['connectionOf'] {
  const presenting = new Map<VirtualServer, Presenting>()
  for (const { virtual, config, policy } of servers) {
    const { certificate_header_format: format, certificate_header_name: name = XFCC } = config
    if (format === 'off') continue
    const header = createCertificateHeader(format, name)
    const isTrusted = ({ remoteAddress }: { remoteAddress: string }) => trusted.has(plainAddress(remoteAddress))
    const streams = new PresentedStreams({
      judge: (shown) => policy.judge(policy.renewed(shown)).verification,
      accepts: (verification) => accepts(policy.verify, verification),
      ended: ({ id, remoteAddress, remotePort, certificate }, reason) => {
        const peer = { connection_id: id, remote_addr: remoteAddress, remote_port: remotePort }
        log.info({ ...peer, subject: certificate?.subject, reason }, 'connection ended')
      },
    })
    presenting.set(virtual, { certificates: new PresentedCertificates({ header, policy, isTrusted }), streams })
  }
  if (presenting.size === 0) return (_server, connection) => connection
  return (server, peer, request) => {
    const found = presenting.get(server)
    const presented = found?.certificates.presentedBy(peer, request.rawHeaders)
    if (!found || !presented) return peer
    const counts = ({ connection, shown }: Presented) => {
      mappedUsers.present(request.socket, connection)
      found.streams.note(
        request.socket,
        shown && connection.verification.result === 'SUCCESS' ? { shown, connection } : undefined,
      )
      return connection
    }
    return presented instanceof Promise ? presented.then(counts) : counts(presented)
  }
}
