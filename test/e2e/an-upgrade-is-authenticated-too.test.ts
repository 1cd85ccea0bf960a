import { once } from 'node:events'
import { afterAll, expect, test } from '@jest/globals'
import { WebSocket, WebSocketServer } from 'ws'
import { makeScene } from '../support/scene.ts'
import { within } from '../support/wait.ts'

const server = new WebSocketServer({ noServer: true })
afterAll(() => {
  for (const client of server.clients) client.terminate()
  server.close()
})

test('a WebSocket needs what its route demands', async () => {
  const scene = await makeScene()
  scene.backend.upgrade = (request, socket, head) => {
    server.handleUpgrade(request, socket, head, (accepted) => server.emit('connection', accepted, request))
  }
  const gateway = await scene.start({
    identity_headers: { 'X-User': 'user' },
    consumers: [
      {
        username: 'ada',
        basicauth_credentials: [{ username: 'ada', password: 'right' }],
        keyauth_credentials: [{ key: 'k' }],
      },
    ],
    services: [
      {
        name: 'api',
        url: scene.backend.url,
        rules: [['password'], ['api-key']],
        routes: [{ name: 'all', paths: ['/'] }],
      },
    ],
  })
  const open = (path: string, headers: Record<string, string> = {}) =>
    new WebSocket(`wss://localhost:${gateway.port}${path}`, { rejectUnauthorized: false, headers })
  const authorization = (password: string) => `Basic ${Buffer.from(`ada:${password}`).toString('base64')}`

  for (const headers of [{}, { authorization: authorization('wrong') }]) {
    const refused = open('/chat', headers)
    refused.on('error', () => {})
    const [, answer] = await within(10, 'the refusal', once(refused, 'unexpected-response'))
    expect(answer.statusCode).toBe(401)
    expect(answer.rawHeaders.filter((name: string) => name === 'WWW-Authenticate')).toHaveLength(2)
    answer.destroy()
  }
  expect(scene.backend.seen).toHaveLength(0)

  const arrivals: [path: string, headers: Record<string, string>][] = [
    ['/chat?room=1', { authorization: authorization('right') }],
    ['/chat?apikey=k&room=1', {}],
  ]
  for (const [path, headers] of arrivals) {
    const socket = open(path, headers)
    await within(10, 'the upgrade', once(socket, 'open'))
    socket.terminate()
    const { last } = scene.backend
    expect([last.target, last.header('x-user'), last.header('authorization')]).toEqual(['/chat?room=1', ['ada'], []])
  }
})
