/** Servers whose clients' certificates come in a header of a load balancer. */
import type { Socket } from 'node:net'
import type { MappedUsers } from '../auth/mapped-users.ts'
import type { Phases } from '../gateway.ts'
import { plainAddress } from '../identity/addresses.ts'
import { createCertificateHeader } from '../identity/certificate-header.ts'
import { XFCC } from '../identity/xfcc.ts'
import { accepts } from '../listener/admission.ts'
import type { Shown } from '../listener/demand.ts'
import { type Presented, PresentedCertificates } from '../listener/presented-certificates.ts'
import type { Judge, PresentedStreams } from '../listener/presented-streams.ts'
import type { Verification, VirtualServer } from '../types.ts'
import type { ListenerServers } from './policies.ts'

interface Presenting {
  readonly certificates: PresentedCertificates
  readonly by: Judge
}

export function createConnectionOf(
  servers: ListenerServers['servers'],
  trusted: { has(address: string): boolean },
  { presentedStreams, mappedUsers }: { presentedStreams: PresentedStreams; mappedUsers: MappedUsers },
): Phases['connectionOf'] {
  const presenting = new Map<VirtualServer, Presenting>()
  for (const { virtual, config, policy } of servers) {
    const { certificate_header_format: format, certificate_header_name: name = XFCC } = config
    if (format === 'off') continue
    const header = createCertificateHeader(format, name)
    const isTrusted = ({ remoteAddress }: { remoteAddress: string }) => trusted.has(plainAddress(remoteAddress))
    const by = {
      judge: (shown: Shown) => policy.judge(policy.renewed(shown)).verification,
      accepts: (verification: Verification) => accepts(policy.verify, verification),
    }
    presenting.set(virtual, { certificates: new PresentedCertificates({ header, policy, isTrusted }), by })
  }
  if (presenting.size === 0) return (_server, connection) => connection
  const note = (socket: Socket, { shown, connection }: Partial<Presented>, by?: Judge) => {
    mappedUsers.present(socket, connection)
    presentedStreams.note(socket, shown && connection && by && { shown, connection, by })
  }
  return (server, peer, request) => {
    const found = presenting.get(server)
    const presented = found?.certificates.presentedBy(peer, request.rawHeaders)
    const counts = (known: Presented) => {
      note(request.socket, known, found?.by)
      return known.connection
    }
    if (presented && !(presented instanceof Promise)) return counts(presented)
    // From now on, the client of the request before has no part in this connection.
    note(request.socket, {})
    return presented?.then(counts) ?? peer
  }
}
