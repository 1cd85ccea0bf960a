import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Client, Dispatcher } from 'undici'
import { GatewayError } from '../errors.ts'
import type { AnswerHeaders, Call } from '../types.ts'
import type { ConnectionPool } from './pool.ts'

type UpgradeRequest = Dispatcher.DispatchOptions & { upgrade: string }

/**
 * Asks the upstream for an upgrade and, once it has answered 101, carries bytes both ways until one side ends. Any other
 * answer goes to the client as it is, and the connection ends with it. Rejects where no answer came.
 */
export function carryUpgrade(
  pool: ConnectionPool,
  request: UpgradeRequest,
  call: Call,
  { answerHeaders, readTimeout }: { answerHeaders: AnswerHeaders; readTimeout: number },
  socket: Duplex,
  head: Buffer,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let client: Client | undefined
    const startedAt = performance.now()
    const left = () =>
      controllerOf.current?.abort(
        new GatewayError('GW_CLIENT_CLOSED', 'the client left before the upgrade was answered'),
      )
    const controllerOf: { current?: Dispatcher.DispatchController } = {}
    const done = (settle: () => void) => {
      socket.off('close', left)
      if (client) pool.done(client)
      settle()
    }
    const answered = (status: number) => {
      call.record.upstreamStatus = status
      call.record.upstreamTime = performance.now() - startedAt
    }
    socket.once('close', left)
    const handler: Dispatcher.DispatchHandler = {
      onRequestStart(controller) {
        controllerOf.current = controller
        if (socket.destroyed) left()
      },
      onRequestUpgrade(controller, status, _headers, upstream) {
        answered(status)
        const headers = answerHeaders.forward(controller.rawHeaders as unknown as Buffer[], call.id)
        socket.write(
          headText(status, undefined, ['Connection', 'Upgrade', 'Upgrade', request.upgrade, ...headers]),
          'latin1',
        )
        if (head.length > 0) upstream.write(head)
        done(() => join(socket, upstream, readTimeout, resolve))
      },
      onResponseStart(controller, status, _headers, message) {
        if (status < 200) return
        answered(status)
        const headers = answerHeaders.forward(controller.rawHeaders as unknown as Buffer[], call.id)
        socket.write(headText(status, message, [...headers, 'Connection', 'close']), 'latin1')
      },
      onResponseData(controller, chunk) {
        if (socket.write(chunk)) return
        controller.pause()
        socket.once('drain', () => controller.resume())
      },
      onResponseEnd: () =>
        done(() => {
          socket.end()
          resolve()
        }),
      onResponseError: (_controller, error) => done(() => reject(pool.causeOf(error, client))),
    }
    try {
      client = pool.dispatch(request, handler)
    } catch (error) {
      reject(error)
    }
  })
}

/** Bytes both ways with back-pressure; the end of one side ends the other, an error or a cut cuts both. */
function join(client: Duplex, upstream: Duplex, idleTimeout: number, over: () => void): void {
  let open = 2
  const closed = (other: Duplex) => () => {
    other.destroy()
    open -= 1
    if (open === 0) over()
  }
  client.on('error', () => upstream.destroy())
  upstream.on('error', () => client.destroy())
  client.once('close', closed(upstream))
  upstream.once('close', closed(client))
  // A timeout of the socket counts what passes in either direction.
  ;(upstream as Socket).setTimeout(idleTimeout, () => upstream.destroy())
  client.pipe(upstream)
  upstream.pipe(client)
}

function headText(status: number, message: string | undefined, headers: readonly string[]): string {
  let text = `HTTP/1.1 ${status} ${message ?? STATUS_CODES[status] ?? ''}\r\n`
  for (let i = 0; i + 1 < headers.length; i += 2) text += `${headers[i]}: ${headers[i + 1]}\r\n`
  return `${text}\r\n`
}
