// Two connections may have the same client address and port where the gateway has several addresses: the facts of one must not become the other's.
import { once } from 'node:events'
import { connect as connectTcp, type Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { beforeAll, expect, test } from '@jest/globals'
import { freePort } from '../support/free-port.ts'
import type { Gateway } from '../support/gateway.ts'
import { parseAnswers } from '../support/raw.ts'
import { makeScene, type Scene } from '../support/scene.ts'
import { waitFor } from '../support/wait.ts'

let scene: Scene
let gateway: Gateway

beforeAll(async () => {
  scene = await makeScene()
  const open = scene.server({ server_names: ['open.test'], ssl_verify_client: 'off', default_server: true })
  const secure = scene.server({ server_names: ['secure.test'], ssl_verify_client: 'on' })
  const routes = [
    { name: 'secret', paths: ['/'], snis: ['secure.test'], protocols: ['https'] },
    { name: 'public', paths: ['/public'] },
  ]
  gateway = await scene.start({
    listeners: [{ listen: '0.0.0.0:0', servers: [open, secure] }],
    services: [{ name: 'api', url: scene.backend.url, routes }],
  })
})

/** A TCP connection on which what the gateway sends is kept back until `release`. */
class HeldBack extends Duplex {
  private readonly socket: Socket
  private readonly kept: Buffer[] = []
  private released = false

  constructor(socket: Socket) {
    super()
    this.socket = socket
    socket
      .on('error', () => {})
      .on('data', (chunk: Buffer) => {
        if (this.released) this.push(chunk)
        else this.kept.push(chunk)
      })
    socket.on('close', () => this.destroy())
  }

  get answered(): boolean {
    return this.kept.length > 0
  }

  release(): void {
    this.released = true
    for (const chunk of this.kept) this.push(chunk)
  }

  override _read(): void {}
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.socket.write(chunk, () => done())
  }
  override _destroy(_error: Error | null, done: () => void): void {
    this.socket.destroy()
    done()
  }
}

async function reach(host: string, localPort: number): Promise<HeldBack> {
  const socket = connectTcp({ host, port: gateway.port, localAddress: '127.0.0.1', localPort })
  await once(socket, 'connect')
  return new HeldBack(socket)
}

function shakeHands(socket: Duplex, servername: string): TLSSocket {
  return connectTls({ socket, servername, rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] }).on(
    'error',
    () => {},
  )
}

test('a second handshake from the same address and port lends its server name to nobody', async () => {
  const localPort = await freePort()
  const first = await reach('127.0.0.1', localPort)
  const second = await reach('127.0.0.2', localPort)
  const asking = shakeHands(first, 'open.test')
  await waitFor('the first ServerHello', () => first.answered)
  const lending = shakeHands(second, 'secure.test')
  await waitFor('the second ServerHello', () => second.answered)
  first.release()
  let received = ''
  asking.on('data', (chunk: Buffer) => {
    received += chunk.toString('latin1')
  })
  asking.write('GET /secret HTTP/1.1\r\nHost: open.test\r\n\r\n')
  const [answer] = await waitFor('an answer', () => {
    const answers = parseAnswers(received, asking.destroyed)
    return answers.length > 0 && answers
  })
  expect(answer?.status).toBe(404)
  expect(scene.backend.seen).toEqual([])
  asking.destroy()
  lending.destroy()
})
