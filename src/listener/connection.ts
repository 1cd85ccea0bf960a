import { randomBytes } from 'node:crypto'
import type { TLSSocket } from 'node:tls'
import type { Connection } from '../types.ts'
import type { TrustPolicy } from './trust-policy.ts'

export interface Peer {
  readonly remoteAddress: string
  readonly remotePort: number
  readonly localPort: number
  /** From the ClientHello: a resumed TLS 1.2 socket has forgotten its own (nodejs/node 57175). */
  readonly serverName: string | undefined
}

/** The facts of a finished handshake. */
export function describeConnection(socket: TLSSocket, policy: TrustPolicy, peer: Peer): Connection {
  const { verification, certificate, chain } = policy.judge(socket)
  return Object.freeze({
    ...peer,
    id: randomBytes(8).toString('hex'),
    policy: policy.id,
    protocol: socket.getProtocol() ?? 'unknown',
    cipher: socket.getCipher().name,
    resumed: socket.isSessionReused(),
    verification,
    certificate,
    chain,
    expiresAt: certificate?.notAfter ?? Number.POSITIVE_INFINITY,
  })
}
