import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { HttpRequest } from '../../../src/http-messages.ts'
import type { Call, CallLimits } from '../../../src/types.ts'
import type { PoolOwner } from '../../../src/upstream/pool.ts'
import { whenFileEnds } from '../../support/cleanup.ts'
import { fakeConnection } from '../../support/fake-connection.ts'

/** A call for `request`; nothing else of it is used by an upstream. */
export function callOf(request: unknown, limits: Partial<CallLimits> = {}): Call {
  return {
    id: 'id',
    request: request as HttpRequest,
    method: 'POST',
    destination: { host: 'localhost', port: undefined, authority: 'localhost', path: '/', query: '' },
    target: '/',
    host: undefined,
    headers: { received: [], own: [], constant: [] },
    body: { kind: 'chunked' },
    expectContinue: false,
    limits: { maxBodySize: 0, bodyTimeout: 5000, sendTimeout: 5000, ...limits },
    record: {
      user: undefined,
      service: undefined,
      target: undefined,
      upstreamStatus: undefined,
      upstreamTime: undefined,
      attempts: 0,
    },
    connection: fakeConnection(),
    server: { name: 'localhost', policy: 'policy', verify: 'off', mapper: undefined, verifyAndMap: false },
    identity: { user: undefined, methods: [], credential: undefined, expiresAt: Number.POSITIVE_INFINITY },
  }
}

/** What all pools share, with room for everybody. */
export const ROOM: PoolOwner = { slots: { enter: () => true, leave: () => {} }, refused: () => {}, reached: () => {} }

/** A TCP server on a free port; its connections are cut when the file ends. */
export async function startTcp(onConnection: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Duplex>()
  const server = createServer((socket) => {
    sockets.add(socket)
    onConnection(socket.on('error', () => {}))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  whenFileEnds(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

/** Both ends of one TCP connection. */
export async function socketPair(): Promise<{ readonly near: Socket; readonly far: Socket }> {
  let accept: (socket: Socket) => void = () => {}
  const accepted = new Promise<Socket>((resolve) => {
    accept = resolve
  })
  const port = await startTcp((socket) => accept(socket))
  const near = connect({ host: '127.0.0.1', port }).on('error', () => {})
  whenFileEnds(() => near.destroy())
  return { near, far: await accepted }
}
