import { beforeAll, expect, test } from '@jest/globals'
import type { Gateway } from '../support/gateway.ts'
import { authority, type Issued } from '../support/pki.ts'
import type { RawAnswer } from '../support/raw.ts'
import { listenerOf, makeScene, type Scene } from '../support/scene.ts'

let scene: Scene
let gateway: Gateway
const red = authority('red')
const blue = authority('blue')
const ada = red.client('ada')

beforeAll(async () => {
  scene = await makeScene()
  const ofRed = { ssl_client_certificate: red.certificate, ssl_verify_client: 'optional' }
  gateway = await scene.start(
    listenerOf(
      scene.server({ server_names: ['red.test'], ...ofRed }),
      scene.server({ server_names: ['crimson.test'], ...ofRed }),
      scene.server({ server_names: ['blue.test'], ssl_client_certificate: blue.certificate, ssl_verify_client: 'on' }),
      scene.server({ server_names: ['open.test'], ssl_verify_client: 'off' }),
    ),
  )
})

const get = (host: string, target = '/') => `GET ${target} HTTP/1.1\r\nHost: ${host}\r\n\r\n`

/** The answers on one connection, and what the backend saw of it. */
async function statuses(bytes: string, expected: number, servername: string, as?: Issued): Promise<number[]> {
  scene.backend.reset()
  const connection = await gateway.open({ servername, ...(as && { as }) })
  const answers = await connection.write(bytes).answers(expected)
  connection.destroy()
  return answers.map(({ status }) => status)
}

test('a Host whose server trusts another CA', async () => {
  expect(await statuses(get('blue.test'), 1, 'red.test', ada)).toEqual([421])
  expect(scene.backend.seen).toEqual([])
})

test('a Host whose server asks for certificates, over a connection that was not asked for one', async () => {
  expect(await statuses(get('blue.test'), 1, 'open.test')).toEqual([421])
  expect(await statuses(get('red.test'), 1, 'open.test')).toEqual([421])
  expect(scene.backend.seen).toEqual([])
})

test('a second request on the same connection', async () => {
  expect(await statuses(get('red.test') + get('blue.test'), 2, 'red.test', ada)).toEqual([200, 421])
  expect(scene.backend.seen.map((seen) => seen.method)).toEqual(['GET'])
})

test('the connection is closed after it, so that nothing more can be tried on it', async () => {
  const answers: readonly RawAnswer[] = await gateway.talk(get('blue.test') + get('red.test'), {
    servername: 'red.test',
  })
  expect(answers.map(({ status }) => status)).toEqual([421])
  expect(answers[0]?.headers).toContainEqual(['connection', 'close'])
  expect(JSON.parse(answers[0]?.body ?? '')).toMatchObject({ code: 'GW_MISDIRECTED', message: 'Misdirected Request' })
})

test('a target in absolute form counts as the Host', async () => {
  expect(await statuses(get('blue.test', 'https://blue.test/'), 1, 'red.test', ada)).toEqual([421])
  const smuggled = await statuses(get('red.test', 'https://blue.test/'), 1, 'red.test', ada)
  expect([400, 421]).toContain(smuggled[0])
  expect(scene.backend.seen).toEqual([])
})

test('a client without a server name meets the policy of the default server only', async () => {
  expect(await statuses(get('red.test'), 1, '', ada)).toEqual([200])
  expect(scene.backend.last.header('VERIFIED')).toEqual(['SUCCESS'])
  expect(await statuses(get('blue.test'), 1, '', ada)).toEqual([421])
  expect(await statuses(get('blue.test'), 1, '', blue.client('bob'))).toEqual([421])
  expect(scene.backend.seen).toEqual([])
})

test('an unknown Host belongs to the default server', async () => {
  expect(await statuses(get('unknown.test'), 1, 'red.test')).toEqual([200])
  expect(await statuses(get('unknown.test'), 1, 'blue.test', blue.client('bob'))).toEqual([421])
})

test('HTTP/1.0 without a Host belongs to the default server', async () => {
  expect(await statuses('GET / HTTP/1.0\r\n\r\n', 1, 'blue.test', blue.client('bob'))).toEqual([421])
  expect(await statuses('GET / HTTP/1.0\r\n\r\n', 1, 'red.test')).toEqual([200])
})

test('names that share one policy share connections', async () => {
  expect(await statuses(get('red.test') + get('crimson.test'), 2, 'red.test', ada)).toEqual([200, 200])
})

test('an upgrade to another policy is refused as well', async () => {
  const upgrade =
    'GET / HTTP/1.1\r\nHost: blue.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'
  expect(await statuses(upgrade, 1, 'red.test', ada)).toEqual([421])
  expect(scene.backend.seen).toEqual([])
})
