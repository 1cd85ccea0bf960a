/** A TLS backend without HTTP: it keeps the very bytes that the gateway sent, and writes the very bytes that the test wants. */
import type { AddressInfo } from 'node:net'
import { createServer, type TLSSocket } from 'node:tls'
import { whenFileEnds } from './cleanup.ts'
import type { Issued } from './pki.ts'

export class RawBackendConnection {
  readonly socket: TLSSocket
  received = ''

  constructor(socket: TLSSocket) {
    this.socket = socket
  }

  /** A character per byte. */
  write(bytes: string): void {
    this.socket.write(Buffer.from(bytes, 'latin1'))
  }
}

/** Called whenever bytes came; `received` holds all of them so far. */
export type OnBytes = (connection: RawBackendConnection) => void

export interface RawBackend {
  readonly port: number
  readonly url: string
  readonly connections: RawBackendConnection[]
  onBytes: OnBytes
}

export async function startRawBackend(certificate: Issued, onBytes: OnBytes = () => {}): Promise<RawBackend> {
  const sockets = new Set<TLSSocket>()
  const server = createServer({ cert: certificate.chain, key: certificate.key })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const backend: RawBackend = { port, url: `https://localhost:${port}`, connections: [], onBytes }
  server.on('secureConnection', (socket) => {
    const connection = new RawBackendConnection(socket)
    backend.connections.push(connection)
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => {
      connection.received += chunk.toString('latin1')
      backend.onBytes(connection)
    })
  })
  server.on('tlsClientError', () => {})
  whenFileEnds(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return backend
}
