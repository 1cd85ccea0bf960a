import { beforeAll, expect, test } from '@jest/globals'
import { json } from '../support/client.ts'
import { type Gateway, requestId } from '../support/gateway.ts'
import { makeScene, type Scene } from '../support/scene.ts'

let scene: Scene
let gateway: Gateway

beforeAll(async () => {
  scene = await makeScene()
  gateway = await scene.start()
})

test('as JSON, with a code, a sentence that says what to do, and a request id', async () => {
  const as = scene.clients.client('old', { validFrom: -10, validUntil: -1 })
  const answer = await gateway.get('/', { as })
  expect(answer.status).toBe(400)
  expect(answer.headers['content-type']).toMatch(/^application\/json/)
  expect(json(answer)).toEqual({
    code: 'GW_CLIENT_CERTIFICATE_INVALID',
    message: 'The SSL certificate error',
    remedy: expect.stringContaining('certificate'),
    request_id: answer.headers['x-request-id'],
  })
})

test("as HTML with nginx's title for browsers", async () => {
  const as = scene.clients.client('old', { validFrom: -10, validUntil: -1 })
  const accept = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8'
  const answer = await gateway.get('/', { as, headers: { accept } })
  expect(answer.headers['content-type']).toMatch(/^text\/html/)
  expect(answer.text).toContain('<title>400 The SSL certificate error</title>')
  expect(answer.text).toContain(requestId(answer))
})

test('and the log line with the same request id says exactly why', async () => {
  const as = scene.clients.client('old', { validFrom: -10, validUntil: -1 })
  const line = await gateway.line(await gateway.get('/secret?token=1', { as }))
  expect(line).toMatchObject({
    status: 400,
    code: 'GW_CLIENT_CERTIFICATE_INVALID',
    verify: 'FAILED',
    verify_reason: 'certificate has expired',
  })
})

test('but the reason is not told to the client', async () => {
  const as = scene.clients.client('old', { validFrom: -10, validUntil: -1 })
  const answer = await gateway.get('/', { as })
  expect(answer.text + JSON.stringify(answer.headers)).not.toMatch(/expired/i)
})

test('the connection is closed after it, as nginx does', async () => {
  const connection = await gateway.open({ as: scene.clients.client('old', { validFrom: -10, validUntil: -1 }) })
  connection.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\nGET /second HTTP/1.1\r\nHost: localhost\r\n\r\n')
  const answers = await connection.untilClosed()
  expect(answers.map(({ status }) => status)).toEqual([400])
  expect(answers[0]?.headers).toContainEqual(['connection', 'close'])
})

test('a path without a route gets 404 and the connection stays open', async () => {
  const only = await scene.start({
    services: [{ name: 'api', url: scene.backend.url, routes: [{ name: 'api', paths: ['/api'] }] }],
  })
  const connection = await only.open()
  const request = 'GET /other HTTP/1.1\r\nHost: localhost\r\n\r\n'
  const [first] = await connection.write(request).answers(1)
  expect(first?.status).toBe(404)
  expect(JSON.parse(first?.body ?? '')).toMatchObject({ code: 'GW_ROUTE_NOT_FOUND' })
  const answers = await connection.write(request).answers(2)
  expect(answers.map(({ status }) => status)).toEqual([404, 404])
  connection.destroy()
})

test('an answer to HEAD carries no body', async () => {
  const as = scene.clients.client('old', { validFrom: -10, validUntil: -1 })
  const connection = await gateway.open({ as })
  await connection.write('HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n').untilClosed()
  expect(connection.received).toMatch(/^HTTP\/1\.1 400 .*\r\n\r\n$/s)
})
