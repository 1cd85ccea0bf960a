import { randomFillSync } from 'node:crypto'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { CertificateFacts } from '../tls-cert-utils/certificate.ts'
import type { Connection, Verification } from '../types.ts'
import type { Shown } from './demand.ts'

export interface Peer {
  readonly remoteAddress: string
  readonly remotePort: number
  readonly localPort: number
  /** From the ClientHello: a resumed TLS 1.2 socket has forgotten its own (nodejs/node 57175). */
  readonly serverName: string | undefined
}

/** A peer over a Unix socket: nginx's word for its address; it has no ports. */
export const UNIX_PEER: Peer = Object.freeze({
  remoteAddress: 'unix:',
  remotePort: 0,
  localPort: 0,
  serverName: undefined,
})

/** Undefined for a client that has gone again before it was accepted: it has no address any more. */
export function peerOf(socket: Socket, overUnix: boolean): Peer | undefined {
  if (overUnix) return UNIX_PEER
  const { remoteAddress, remotePort, localPort } = socket
  if (remoteAddress === undefined || remotePort === undefined || localPort === undefined) return undefined
  return { remoteAddress: withoutMapping(remoteAddress), remotePort, localPort, serverName: undefined }
}

/** A listener on `[::]` has IPv4 peers as `::ffff:192.0.2.1`; whoever reads logs or writes plugins wants the address itself. */
function withoutMapping(address: string): string {
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address
}

const NO_CHAIN: readonly CertificateFacts[] = Object.freeze([])

const ID_BYTES = 8
/** For many: asking for random bytes takes longer than most other things that are known of a connection. */
const random = Buffer.alloc(ID_BYTES * 512)
let used = random.length

function newId(): string {
  if (used === random.length) {
    randomFillSync(random)
    used = 0
  }
  used += ID_BYTES
  return random.toString('hex', used - ID_BYTES, used)
}

/** The facts of a finished handshake in which the client showed this. */
export function describeConnection(
  socket: TLSSocket,
  {
    policy,
    peer,
    shown,
    verification,
  }: { policy: string; peer: Peer; shown: Shown | undefined; verification: Verification },
): Connection {
  return Object.freeze({
    ...peer,
    id: newId(),
    policy,
    protocol: socket.getProtocol() ?? 'unknown',
    cipher: socket.getCipher().name,
    resumed: socket.isSessionReused(),
    ...factsOf(shown, verification),
  })
}

/** Everything in a connection that follows from the client's certificate. */
export function factsOf(
  shown: Shown | undefined,
  verification: Verification,
): Pick<Connection, 'verification' | 'certificate' | 'chain' | 'expiresAt'> {
  const certificates = shown ? [shown.certificate, ...shown.chain] : []
  return {
    verification,
    certificate: shown?.certificate,
    chain: verification.result === 'SUCCESS' && shown ? shown.sent : NO_CHAIN,
    expiresAt: Math.min(...certificates.map(({ notAfter }) => notAfter)),
  }
}
