import { beforeAll, describe, expect, test } from '@jest/globals'
import { implicit, sequence } from '../support/der.ts'
import { temporaryFile } from '../support/folder.ts'
import type { Gateway } from '../support/gateway.ts'
import { sallyport } from '../support/gateway.ts'
import { nameOf } from '../support/names.ts'
import { type CertificateOptions, extension, withUpn } from '../support/pki.ts'
import { listenerOf, makeScene, type Scene } from '../support/scene.ts'

let scene: Scene
let gateway: Gateway

const RULES = [
  { subject: { O: 'Example', OU: ['ops', 'dev'] }, issuer: { CN: 'clients' } },
  { san: { uri: 'spiffe://example.test/ns/*/sa/web' } },
  { san: { email: '*@example.test' } },
  { san: { dns: ['*.svc.example.test', 'API.example.test'] } },
  { san: { ip: ['10.1.0.0/16', '::1'] } },
  { san: { upn: '*@corp.example.test' }, issuer: { CN: 'clients' } },
]

beforeAll(async () => {
  scene = await makeScene()
  gateway = await scene.start(
    listenerOf(
      scene.server({ ssl_verify_allow: RULES }),
      scene.server({ server_names: ['mail.test'], ssl_verify_allow: [{ san: { email: '*@example.test' } }] }),
      scene.server({ server_names: ['pinned.test'], ssl_verify_client: 'optional_no_ca', ssl_verify_allow: RULES }),
    ),
  )
})

const dnsNames = (...names: string[]) =>
  extension('2.5.29.17', sequence(...names.map((name) => implicit(2, Buffer.from(name)))))

function statusFor(options: CertificateOptions, host = 'localhost'): Promise<number> {
  return gateway.get('/', { as: scene.clients.client('someone', options), host }).then(({ status }) => status)
}

describe('is let in', () => {
  test.each<[string, CertificateOptions]>([
    ['by the attributes of its subject', { subject: nameOf(['O', 'Example'], ['OU', 'dev'], ['CN', 'ada']) }],
    ['by a URI', { uris: ['spiffe://example.test/ns/prod/sa/web'] }],
    ['by an e-mail address, among others', { emails: ['ada@elsewhere.test', 'ada@example.test'] }],
    ['by a DNS name, in any case', { hosts: ['api.EXAMPLE.test'] }],
    ['by one label of a DNS name', { hosts: ['elsewhere.test', 'web.svc.example.test'] }],
    ['by an address in a network', { hosts: ['10.1.255.255'] }],
    ['by an address', { hosts: ['::1'] }],
    ['by a user principal name', withUpn('ada@corp.example.test')],
  ])('%s', async (_how, options) => {
    expect(await statusFor(options)).toBe(200)
  })
})

test('each server has rules of its own, also where it trusts the same authorities', async () => {
  expect(await statusFor({ hosts: ['::1'] }, 'mail.test')).not.toBe(200)
  expect(await statusFor({ emails: ['ada@example.test'] }, 'mail.test')).toBe(200)
})

describe('is refused', () => {
  test.each<[string, CertificateOptions]>([
    ['where one attribute is missing', { subject: nameOf(['O', 'Example'], ['CN', 'ada']) }],
    ['where the text of the subject only looks right', { subject: nameOf(['CN', 'O=Example,OU=ops']) }],
    ['where a star would have to cross a segment', { uris: ['spiffe://example.test/ns/a/b/sa/web'] }],
    ['where something follows', { emails: ['ada@example.test.evil.test'] }],
    ['where the name stands in another kind of name', { uris: ['ada@example.test'] }],
    ['where a star would have to cross a label', { hosts: ['a.web.svc.example.test'] }],
    ['where a star would have to be nothing', { hosts: ['.svc.example.test', 'svc.example.test'] }],
    ['where an address stands in a DNS name', { onlyExtensions: [dnsNames('10.1.0.1')] }],
    ['where the address is outside of the network', { hosts: ['10.2.0.1'] }],
    ['where an e-mail address is called as a user principal name', { emails: ['ada@corp.example.test'] }],
    ['where a user principal name is called as an e-mail address', withUpn('ada@example.test')],
    ['where a NUL would end the name', withUpn('ada@corp.example.test\0.evil.test')],
  ])('%s', async (_how, options) => {
    scene.backend.reset()
    expect(await statusFor(options)).toBe(400)
    expect(await statusFor(options, 'pinned.test')).toBe(400)
    expect(scene.backend.seen).toEqual([])
  })
})

test('the log says why, the answer does not', async () => {
  const answer = await gateway.get('/', { as: scene.ada })
  expect(answer.text).not.toContain('ssl_verify_allow')
  const line = await gateway.line(answer)
  expect(line).toMatchObject({ verify_reason: 'certificate name not allowed' })
  expect(JSON.stringify(line)).toContain('no rule of ssl_verify_allow fits CN=ada')
})

test('inspect says so beforehand', async () => {
  const config = temporaryFile(
    'gateway.yaml',
    JSON.stringify(scene.config(listenerOf(scene.server({ ssl_verify_allow: RULES })))),
  )
  const { stdout } = await sallyport(['inspect', temporaryFile('ada.pem', scene.ada.chain), '-c', config])
  expect(stdout).toContain('wrong: certificate name not allowed (no rule of ssl_verify_allow fits CN=ada)')
  expect(stdout).toContain('refused with 400 GW_CLIENT_CERTIFICATE_INVALID')
})

test.each<[string, object, string]>([
  ['no rule', { ssl_verify_allow: [] }, 'is empty, which would let nobody in'],
  ['an empty rule', { ssl_verify_allow: [{}] }, 'names nothing'],
  [
    'an unknown attribute',
    { ssl_verify_allow: [{ subject: { Cn: 'a' } }] },
    'is no attribute that OpenSSL has a short name for',
  ],
  ['an unknown kind of name', { ssl_verify_allow: [{ san: { dnsname: 'a' } }] }, 'is no kind of alternative name'],
  ['what is no network', { ssl_verify_allow: [{ san: { ip: '10.0.0.0/33' } }] }, 'expected an address or network'],
  [
    'nobody who asks',
    { ssl_verify_client: 'off', ssl_verify_allow: RULES },
    'has no effect while ssl_verify_client is off',
  ],
])('a configuration with %s is refused', async (_what, fields, message) => {
  const config = temporaryFile('gateway.yaml', JSON.stringify(scene.config(listenerOf(scene.server(fields)))))
  const { status, stderr, stdout } = await sallyport(['check', '-c', config])
  expect(status).not.toBe(0)
  expect(stdout + stderr).toContain(message)
})
