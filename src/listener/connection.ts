import { randomFillSync } from 'node:crypto'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { connectionOf } from '../connection-notes.ts'
import type { CertificateFacts } from '../tls-cert-utils/certificate.ts'
import { withoutRoot } from '../tls-cert-utils/chain.ts'
import type { Connection, Verification } from '../types.ts'
import type { Shown } from './demand.ts'

export interface Peer {
  readonly remoteAddress: string
  readonly remotePort: number
  readonly localPort: number
  /** From the ClientHello: a resumed TLS 1.2 socket has forgotten its own (nodejs/node 57175). */
  readonly serverName: string | undefined
}

/** The peer of a Unix socket; the address is nginx's word for it, and there is no port. */
export const UNIX_PEER: Peer = Object.freeze({
  remoteAddress: 'unix:',
  remotePort: 0,
  localPort: 0,
  serverName: undefined,
})

/** Undefined for a client that left before it was accepted: then there is no address any more. */
export function peerOf(socket: Socket, overUnix: boolean): Peer | undefined {
  if (overUnix) return UNIX_PEER
  const { remoteAddress, remotePort, localPort } = socket
  if (remoteAddress === undefined || remotePort === undefined || localPort === undefined) return undefined
  return { remoteAddress: withoutMapping(remoteAddress), remotePort, localPort, serverName: undefined }
}

/** A listener on `[::]` sees IPv4 peers as `::ffff:192.0.2.1`; logs and plugins should get the IPv4 address. */
export function withoutMapping(address: string): string {
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address
}

const NO_CHAIN: readonly CertificateFacts[] = Object.freeze([])

const ID_BYTES = 8
/** Enough for many ids: fetching random bytes takes longer than most other work for a connection. */
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

/** The facts of a finished handshake, from what the client showed in it. */
export function describeConnection(
  socket: TLSSocket,
  {
    policy,
    peer,
    shown,
    verification,
  }: { policy: string; peer: Peer; shown: Shown | undefined; verification: Verification },
): Connection {
  return connectionOf({
    ...peer,
    id: newId(),
    policy,
    protocol: socket.getProtocol() ?? 'unknown',
    cipher: socket.getCipher().name,
    resumed: socket.isSessionReused(),
    ...factsOf(shown, verification),
  })
}

/** The parts of a connection that depend on the client's certificate. */
export function factsOf(
  shown: Shown | undefined,
  verification: Verification,
): Pick<Connection, 'verification' | 'certificate' | 'chain' | 'expiresAt'> {
  const certificates = shown ? [shown.certificate, ...shown.chain] : []
  return {
    verification,
    certificate: shown?.certificate,
    chain: verification.result === 'SUCCESS' && shown ? withoutRoot(shown.chain) : NO_CHAIN,
    expiresAt: Math.min(...certificates.map(({ notAfter }) => notAfter)),
  }
}
