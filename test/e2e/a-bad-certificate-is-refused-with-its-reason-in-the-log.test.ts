import { generateKeyPairSync } from 'node:crypto'
import { beforeAll, expect, test } from '@jest/globals'
import type { Gateway } from '../support/gateway.ts'
import { authority, type Issued, selfSigned } from '../support/pki.ts'
import { listenerOf, makeScene, type Scene } from '../support/scene.ts'

let scene: Scene
let gateway: Gateway

beforeAll(async () => {
  scene = await makeScene()
  gateway = await scene.start()
})

test.each<[what: string, reason: string | RegExp, certificate: (scene: Scene) => Issued]>([
  ['expired', 'certificate has expired', ({ clients }) => clients.client('a', { validFrom: -9, validUntil: -1 })],
  ['not yet valid', /^certificate is not yet valid/, ({ clients }) => clients.client('a', { validFrom: 1 })],
  [
    'of the wrong purpose',
    'unsuitable certificate purpose',
    ({ clients }) => clients.client('a', { purposes: ['serverAuth'] }),
  ],
  ['self-signed', 'self-signed certificate', () => selfSigned('a')],
  ['of an unknown CA', 'unable to verify the first certificate', () => authority('other').client('a')],
  [
    'of a CA that only has the name of ours',
    'unable to verify the first certificate',
    () => authority('clients').client('a'),
  ],
  [
    'signed by a certificate that is no CA',
    /^invalid CA certificate$|^unspecified/,
    ({ clients }) => clients.clientThatSigns('leaf').client('a'),
  ],
  [
    'below an intermediate that the client does not send',
    'unable to verify the first certificate',
    ({ clients }) => withoutIntermediates(clients.authority('hidden').client('a')),
  ],
  [
    'deeper than ssl_verify_depth, in the words that nginx has for it',
    'unable to get local issuer certificate',
    ({ clients }) => clients.authority('one').authority('two').client('a'),
  ],
  [
    "deeper than an intermediate's path length allows",
    'path length constraint exceeded',
    ({ clients }) => clients.authority('one', { pathLength: 0 }).authority('two').client('a'),
  ],
])('%s', async (_what, reason, certificate) => {
  scene.backend.reset()
  const answer = await gateway.get('/', { as: certificate(scene) })
  expect(answer.status).toBe(400)
  expect(await gateway.line(answer)).toMatchObject({
    code: 'GW_CLIENT_CERTIFICATE_INVALID',
    verify: 'FAILED',
    verify_reason: typeof reason === 'string' ? reason : expect.stringMatching(reason),
  })
  expect(scene.backend.seen).toEqual([])
})

test.each<[what: string, hint: string, certificate: (scene: Scene) => Issued]>([
  [
    'below an intermediate that nobody sends',
    'its issuer is neither sent along by the client nor in ssl_client_certificate',
    ({ clients }) => withoutIntermediates(clients.authority('hidden').client('a')),
  ],
  [
    'of another root that is sent along',
    'its root is not in ssl_client_certificate',
    () => {
      const other = authority('other')
      const issued = other.client('a')
      return Object.assign(Object.create(issued) as Issued, { chain: issued.certificate + other.certificate })
    },
  ],
  [
    'for servers',
    'it, or an issuer of it, is not meant for TLS clients: see its extended key usage',
    ({ clients }) => clients.client('a', { purposes: ['serverAuth'] }),
  ],
])('the log says what is missing of one %s', async (_what, hint, certificate) => {
  const answer = await gateway.get('/', { as: certificate(scene) })
  expect((await gateway.line(answer)).detail).toMatch(new RegExp(`^client certificate verify error: .* \\(${hint}\\)$`))
})

test('a certificate below one intermediate that the client sends is trusted', async () => {
  const answer = await gateway.get('/', { as: scene.clients.authority('department').client('eve') })
  expect(answer.status).toBe(200)
  expect(scene.backend.last.header('DN')).toEqual(['CN=eve'])
})

test('a certificate without any extended key usage is trusted', async () => {
  const answer = await gateway.get('/', { as: scene.clients.client('plain', { purposes: [] }) })
  expect(answer.status).toBe(200)
  expect(scene.backend.last.header('VERIFIED')).toEqual(['SUCCESS'])
})

function withoutIntermediates(issued: Issued): Issued {
  return Object.assign(Object.create(issued) as Issued, { chain: issued.certificate })
}

test('of an authority with too short a key, for which Node has no name', async () => {
  const short = authority('short', { keys: generateKeyPairSync('rsa', { modulusLength: 1024 }) })
  const trusting = await scene.start(listenerOf(scene.server({ ssl_client_certificate: short.certificate })))
  const answer = await trusting.get('/', { as: short.client('a') })
  expect(answer.status).toBe(400)
  expect((await trusting.line(answer)).detail).toContain('(CN=short: its key is too small)')
  await trusting.stop()
})
