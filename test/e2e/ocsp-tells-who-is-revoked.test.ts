import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { run } from '../support/children.ts'
import { whenFileEnds } from '../support/cleanup.ts'
import { temporaryFile } from '../support/folder.ts'
import { refusedStart } from '../support/gateway.ts'
import { OCSP_PEERS, startResponder } from '../support/ocsp.ts'
import { describeWith } from '../support/peers.ts'
import type { Authority, Issued } from '../support/pki.ts'
import { listenerOf, makeScene, type Scene } from '../support/scene.ts'
import { waitFor } from '../support/wait.ts'

let scene: Scene
let middle: Authority
let bob: Issued
let deep: Issued
beforeAll(async () => {
  scene = await makeScene()
  bob = scene.clients.client('bob')
  middle = scene.clients.authority('middle')
  deep = middle.client('deep')
})

const start = (responder: string, server: object = {}) =>
  scene.start(
    listenerOf(
      scene.server({
        ssl_verify_client: 'on',
        ssl_ocsp: 'leaf',
        ssl_ocsp_responder: responder,
        ssl_ocsp_timeout: '2s',
        ...server,
      }),
    ),
  )

/** What answers every question with these bytes. */
async function fakeResponder(answer: string | undefined, type = 'application/ocsp-response'): Promise<string> {
  const server = createServer((_request, response) => {
    if (answer !== undefined) response.writeHead(200, { 'Content-Type': type }).end(answer)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  whenFileEnds(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
}

describeWith(OCSP_PEERS, 'with the responder of openssl', () => {
  test('good passes; revoked and unknown get 400, and the log has the words of nginx', async () => {
    const responder = await startResponder(scene.clients, [scene.ada, bob], { revoked: [bob], minutes: 60 })
    const gateway = await start(responder.url)
    expect((await gateway.get('/', { as: scene.ada })).status).toBe(200)
    for (const [as, reason] of [
      [bob, 'certificate revoked'],
      [scene.clients.client('carol'), 'certificate status unknown'],
    ] as const) {
      const answer = await gateway.get('/', { as })
      expect(answer.status).toBe(400)
      expect(answer.text).toContain('The SSL certificate error')
      expect(await gateway.line(answer)).toMatchObject({ verify_reason: reason })
    }
  })

  test('an answer is remembered until its next update, and asked for once by many handshakes', async () => {
    const responder = await startResponder(scene.clients, [scene.ada], { minutes: 60 })
    const gateway = await start(responder.url, { ssl_ocsp_nonce: 'on' })
    const answers = await Promise.all(Array.from({ length: 5 }, () => gateway.get('/', { as: scene.ada })))
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200])
    expect(responder.questions).toBe(1)
    await gateway.reload()
    expect((await gateway.get('/', { as: scene.ada })).status).toBe(200)
    expect(responder.questions).toBe(1)
  })

  test('a failure is not remembered: a responder that comes back is asked again', async () => {
    const responder = await startResponder(scene.clients, [scene.ada], { minutes: 60 })
    await responder.stop()
    const gateway = await start(responder.url)
    const answer = await gateway.get('/', { as: scene.ada })
    expect(answer.status).toBe(400)
    expect(await gateway.line(answer)).toMatchObject({ verify_reason: 'certificate status request failed' })
    expect(await gateway.logged({ msg: 'no status of a client certificate' })).toMatchObject({
      subject: 'CN=ada',
      responder: responder.url,
    })
    await responder.start()
    expect((await gateway.get('/', { as: scene.ada })).status).toBe(200)
  })

  test('on asks about each certificate but the root, leaf about the first alone', async () => {
    const responder = await startResponder(middle, [deep], { minutes: 60 })
    // Its index and key are those of `middle`: about `middle` itself it can say nothing that counts.
    const asked = await start(responder.url, { ssl_ocsp: 'on', ssl_verify_depth: 2 })
    expect((await asked.get('/', { as: deep })).status).toBe(400)
    const leaf = await start(responder.url, { ssl_verify_depth: 2 })
    expect((await leaf.get('/', { as: deep })).status).toBe(200)
  })

  test('a certificate that a load balancer tells waits for its answer, as one in a handshake does', async () => {
    const responder = await startResponder(scene.clients, [scene.ada, bob], { revoked: [bob], minutes: 60 })
    const server = scene.server({
      ...{ ssl_verify_client: 'on', ssl_ocsp: 'leaf', ssl_ocsp_responder: responder.url },
      certificate_header_format: 'rfc9440',
    })
    const gateway = await scene.start({ ...listenerOf(server), trusted_ips: ['127.0.0.1'] })
    const get = ({ der }: Issued) => gateway.get('/', { headers: { 'client-cert': `:${der.toString('base64')}:` } })
    expect((await get(scene.ada)).status).toBe(200)
    const refused = await get(bob)
    expect(await gateway.line(refused)).toMatchObject({ status: 400, verify_reason: 'certificate revoked' })
    await responder.stop()
    const unknown = await get(scene.clients.client('carol'))
    expect(await gateway.line(unknown)).toMatchObject({
      status: 400,
      verify_reason: 'certificate status request failed',
    })
    expect((await get(scene.ada)).status).toBe(200)
  })

  test('our own certificate comes with its staple, from the second handshake on, also where the responder was set right by a reload', async () => {
    const responder = await startResponder(scene.servers, [scene.front], { minutes: 60 })
    const chain = scene.front.chain + scene.servers.certificate
    const stapling = (url: string) =>
      listenerOf(scene.server({ ssl_certificate: chain, ssl_stapling: 'on', ssl_stapling_responder: url }))
    const gateway = await scene.start(stapling(await fakeResponder('junk')))
    const ca = temporaryFile('ca.pem', scene.servers.certificate)
    const ask = async () => {
      const args = ['-connect', `127.0.0.1:${gateway.port}`, '-servername', 'localhost', '-CAfile', ca]
      return (await run('openssl', ['s_client', ...args, '-status'], { input: '' })).stdout
    }
    expect(await ask()).toContain('OCSP response: no response sent')
    await gateway.logged({ msg: 'no OCSP staple for our own certificate' })
    await gateway.reload(scene.config(stapling(responder.url)))
    await waitFor('the staple', async () => (await ask()).includes('OCSP Response Status: successful (0x0)'))
    expect(await ask()).toContain('Cert Status: good')
    expect((await gateway.get('/', { as: scene.ada })).status).toBe(200)
    expect(responder.questions).toBe(1)
  })
})

describe('what is no answer lets nobody in, and the gateway goes on', () => {
  test.each([
    ['a page', '<html>busy</html>', 'text/html', /answers 200 text\/html/],
    ['junk', 'junk', undefined, /damaged/],
    ['a refusal', '0\x03\n\x01\x03', undefined, /tryLater/],
    ['too much', 'x'.repeat(100_000), undefined, /more than 65536 bytes/],
    ['silence', undefined, undefined, /no answer within 2000 ms/],
  ])('%s', async (_what, answer, type, reason) => {
    const gateway = await start(await fakeResponder(answer, type))
    const refused = await gateway.get('/', { as: scene.ada })
    expect(refused.status).toBe(400)
    expect(await gateway.line(refused)).toMatchObject({ verify_reason: 'certificate status request failed' })
    expect(await gateway.logged({ msg: 'no status of a client certificate' })).toMatchObject({
      reason: expect.stringMatching(reason),
    })
  })
})

test('ssl_ocsp beside a mode that verifies nothing is refused at the start', async () => {
  const server = scene.server({ ssl_verify_client: 'optional_no_ca', ssl_ocsp: 'on' })
  const { status, stderr } = await refusedStart({ config: scene.config(listenerOf(server)) })
  expect(status).toBe(1)
  expect(stderr).toContain('ssl_ocsp: is incompatible with ssl_verify_client optional_no_ca')
})
