// Cases of nginx-tests on TLS that no other file has; test/nginx-tests.md says where each of the rest is.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { run } from '../support/children.ts'
import { implicit, objectIdentifier, sequence } from '../support/der.ts'
import { temporaryFile, temporaryFolder } from '../support/folder.ts'
import type { Gateway } from '../support/gateway.ts'
import { OCSP_PEERS, startResponder } from '../support/ocsp.ts'
import { sClient } from '../support/openssl.ts'
import { describeWith } from '../support/peers.ts'
import { authority, extension, type Issued, selfSigned } from '../support/pki.ts'
import { listenerOf, makeScene, type Scene } from '../support/scene.ts'

let scene: Scene
let gateway: Gateway
const encrypted = authority('elsewhere')

beforeAll(async () => {
  scene = await makeScene()
  const aux = await run('openssl', ['x509', '-trustout', '-addtrust', 'clientAuth'], {
    input: scene.clients.certificate,
  })
  const { chain: ssl_certificate } = scene.front
  const locked = { ssl_certificate, ssl_certificate_key: scene.front.encryptedKey('second') }
  const pipe = join(temporaryFolder(), 'passwords')
  await run('mkfifo', [pipe])
  const started = scene.start(
    listenerOf(
      scene.server(),
      scene.server({ server_names: ['old.test'], ssl_protocols: ['TLSv1.2'] }),
      scene.server({ server_names: ['new.test'], ssl_protocols: ['TLSv1.3'] }),
      scene.server({ server_names: ['aux.test'], ssl_client_certificate: aux.stdout, ssl_verify_client: 'on' }),
      scene.server({
        server_names: ['lines.test'],
        ...locked,
        ssl_password_file: temporaryFile('p', 'first\r\nsecond\r\n'),
      }),
      scene.server({ server_names: ['pipe.test'], ...locked, ssl_password_file: pipe }),
    ),
  )
  await writeFile(pipe, 'first\nsecond\n')
  gateway = await started
})

const requestTo = (host: string) => `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`

async function handshake(servername: string, tls: 'tls1_2' | 'tls1_3'): Promise<number | string | undefined> {
  const { answers, output } = await sClient({ port: gateway.port, servername, tls, request: requestTo(servername) })
  return answers[0]?.status ?? (/Cipher is \(NONE\)/.test(output) ? 'none' : undefined)
}

test('each name speaks the versions of its own server', async () => {
  expect([await handshake('old.test', 'tls1_2'), await handshake('old.test', 'tls1_3')]).toEqual([200, 'none'])
  expect([await handshake('new.test', 'tls1_2'), await handshake('new.test', 'tls1_3')]).toEqual(['none', 200])
  expect([await handshake('localhost', 'tls1_2'), await handshake('localhost', 'tls1_3')]).toEqual([200, 200])
})

test('an authority in the format TRUSTED CERTIFICATE is trusted', async () => {
  expect((await gateway.get('/', { host: 'aux.test', as: scene.ada })).status).toBe(200)
  expect((await gateway.get('/', { host: 'aux.test', as: encrypted.client('eve') })).status).toBe(400)
})

test.each(['lines.test', 'pipe.test'])('a file of passphrases is tried line by line: %s', async (host) => {
  expect((await gateway.get('/', { host })).status).toBe(200)
})

test('a client that renegotiates is refused, and nobody else notices', async () => {
  const args = ['s_client', '-connect', `127.0.0.1:${gateway.port}`, '-servername', 'localhost', '-tls1_2']
  const { stdout, stderr } = await run('openssl', args, { input: 'R\n' })
  expect(stdout + stderr).toMatch(/no renegotiation/i)
  expect((await gateway.get('/')).status).toBe(200)
})

test('no session lets a client send early data, which anybody could send again', async () => {
  const request = requestTo('localhost')
  const keep = temporaryFile('session', '')
  const { output } = await sClient({ port: gateway.port, servername: 'localhost', tls: 'tls1_3', keep, request })
  expect(new Set(output.match(/Max Early Data: \d+/g))).toEqual(new Set(['Max Early Data: 0']))
})

describeWith(OCSP_PEERS, 'OCSP', () => {
  const naming = (url: string) => {
    const access = sequence(objectIdentifier('1.3.6.1.5.5.7.48.1'), implicit(6, Buffer.from(url, 'latin1')))
    return extension('1.3.6.1.5.5.7.1.1', sequence(access))
  }

  async function startAsking(...servers: object[]): Promise<Gateway> {
    return scene.start(listenerOf(...servers.map((each) => scene.server({ ssl_verify_client: 'on', ...each }))))
  }

  const reasonOf = async (at: Gateway, as: Issued, host = 'localhost') => {
    const answer = await at.get('/', { as, host })
    return answer.status === 200 ? 200 : (await at.line(answer)).verify_reason
  }

  test('the responder is the one that the certificate names, or that its server name chose', async () => {
    const [other, { clients }] = [authority('other'), scene]
    const [bob, rsa] = [other.client('bob'), clients.client('rsa', { keyType: 'rsa' })]
    const [first, second] = [await startResponder(clients, [scene.ada, rsa]), await startResponder(other, [bob])]
    const named = clients.client('named', { extensions: [naming(first.url)] })
    const at = await startAsking(
      { ssl_ocsp: 'leaf' },
      { server_names: ['first.test'], ssl_ocsp: 'leaf', ssl_ocsp_responder: first.url },
      {
        ...{ server_names: ['second.test'], ssl_client_certificate: other.certificate },
        ...{ ssl_ocsp: 'leaf', ssl_ocsp_responder: second.url },
      },
    )
    // Its index does not have it, so that the answer is signed, but no good one.
    expect(await reasonOf(at, named)).toBe('certificate status unknown')
    expect(await reasonOf(at, scene.ada)).toBe('certificate status request failed')
    expect(await reasonOf(at, scene.ada, 'first.test')).toBe(200)
    expect(await reasonOf(at, rsa, 'first.test')).toBe(200)
    expect(await reasonOf(at, bob, 'second.test')).toBe(200)
  })

  test('an answer that somebody else has signed lets nobody in', async () => {
    const forger = authority('clients')
    const { url } = await startResponder(scene.clients, [scene.ada], { signer: forger })
    const at = await startAsking({ ssl_ocsp: 'leaf', ssl_ocsp_responder: url })
    expect(await reasonOf(at, scene.ada)).toBe('certificate status request failed')
  })

  test('about a root nobody is asked', async () => {
    const own = selfSigned('own')
    const at = await startAsking({ ssl_client_certificate: own.certificate, ssl_ocsp: 'on' })
    expect(await reasonOf(at, own)).toBe(200)
  })

  describe.each(['tls1_2', 'tls1_3'] as const)('a session over %s', (tls) => {
    test('goes on, until its client is revoked', async () => {
      const [eve, bob] = [scene.clients.client('eve'), scene.clients.client('bob')]
      const responder = await startResponder(scene.clients, [eve, bob], { minutes: 60 })
      // One answer is remembered, so that the next one makes the gateway ask again.
      const at = await startAsking({ ssl_ocsp: 'leaf', ssl_ocsp_responder: responder.url, ssl_ocsp_cache: 1 })
      const keep = join(temporaryFolder(), 'session.pem')
      const common = { port: at.port, tls, servername: 'localhost', request: requestTo('localhost') }
      const outcome = ({ resumed, answers }: Awaited<ReturnType<typeof sClient>>) => [resumed, answers[0]?.status]
      expect(outcome(await sClient({ ...common, as: eve.files(), keep }))).toEqual([false, 200])
      expect(outcome(await sClient({ ...common, resume: keep }))).toEqual([true, 200])
      await responder.stop()
      await responder.start([eve])
      expect((await at.get('/', { as: bob })).status).toBe(200)
      expect(outcome(await sClient({ ...common, resume: keep }))).toEqual([true, 400])
      await at.logged({ status: 400, verify_reason: 'certificate revoked' })
    })
  })
})
