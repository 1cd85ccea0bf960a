import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { parse } from 'yaml'
import { run } from '../support/children.ts'
import { temporaryFile, temporaryFolder } from '../support/folder.ts'
import { sallyport } from '../support/gateway.ts'
import { authority } from '../support/pki.ts'

const root = authority('root')
const signer = root.client('signer')
const before = authority('other').client('signer before')
const realm = {
  name: 'acme',
  issuer: 'https://id.example.com/realms/acme',
  url: 'https://registry.example.com:8443',
  services: ['registry.example.com'],
  certificate: 'now',
  previous_certificates: ['before'],
}
const config = (...realms: object[]) =>
  temporaryFile(
    'gateway.yaml',
    JSON.stringify({
      certificates: [
        { name: 'now', cert: signer.chain + root.certificate, key: signer.key },
        { name: 'before', cert: before.chain, key: before.key },
      ],
      registry_realms: realms,
      services: [{ name: 'api', url: 'http://127.0.0.1:1', routes: [{ name: 'all', paths: ['/'] }] }],
      listeners: [{ servers: [{ ssl_certificate: signer.chain, ssl_certificate_key: signer.key }] }],
    }),
  )

const print = (args: readonly string[], cwd = temporaryFolder()) => sallyport(['registry-config', ...args], { cwd })

test('a config.yml, with the certificates of all keys beside it', async () => {
  const cwd = temporaryFolder()
  const { status, stdout, stderr } = await print(['-c', config(realm)], cwd)
  expect([status, stderr]).toEqual([0, ''])
  expect(parse(stdout)).toMatchObject({
    version: 0.1,
    auth: {
      token: {
        realm: 'https://registry.example.com:8443/auth/realms/acme/protocol/docker-v2/auth',
        service: 'registry.example.com',
        issuer: 'https://id.example.com/realms/acme',
        rootcertbundle: join(cwd, 'registry-bundle.pem'),
      },
    },
  })
  const bundle = readFileSync(join(cwd, 'registry-bundle.pem'), 'utf8')
  for (const { certificate } of [signer, root, before]) expect(bundle).toContain(certificate.trim().split('\n')[1])
  expect(stdout + bundle).not.toContain('PRIVATE KEY')
})

test('environment variables', async () => {
  const { stdout } = await print(['-c', config(realm), '--format', 'env', '--url', 'https://other.example.com/'])
  expect(stdout.split('\n')).toEqual([
    '-e REGISTRY_AUTH_TOKEN_REALM=https://other.example.com/auth/realms/acme/protocol/docker-v2/auth \\',
    '-e REGISTRY_AUTH_TOKEN_SERVICE=registry.example.com \\',
    '-e REGISTRY_AUTH_TOKEN_ISSUER=https://id.example.com/realms/acme \\',
    '-e REGISTRY_AUTH_TOKEN_ROOTCERTBUNDLE=/opt/certs/bundle.pem',
    '',
  ])
})

test('the example of the help hands each variable to docker', async () => {
  const { stdout: help } = await print(['--help'])
  const { stdout: printed } = await print(['-c', config(realm), '--format', 'env'])
  const [example = ''] = /docker run .*/.exec(help) ?? []
  const programs = `docker() { printf '%s\\n' "$@"; }; sallyport() { printf '%s' "$PRINTED"; }`
  const { stdout } = await run('sh', ['-c', `${programs}; ${example}`], { env: { PRINTED: printed, PWD: '/here' } })
  const [image, ...rest] = stdout.trim().split('\n').slice(1).reverse()
  expect(image).toBe('registry:2')
  expect(rest.reverse()).toEqual([
    ...[...printed.matchAll(/REGISTRY_\S+/g)].flatMap(([variable]) => ['-e', variable]),
    ...['-v', expect.stringMatching(/registry-bundle.pem:\/opt\/certs\/bundle.pem$/)],
  ])
})

test('a compose file', async () => {
  const { stdout } = await print(['-c', config(realm), '--format', 'compose', '--bundle', 'certs.pem'])
  expect(parse(stdout)).toMatchObject({
    services: { registry: { environment: { REGISTRY_AUTH_TOKEN_SERVICE: 'registry.example.com' } } },
  })
})

test.each([
  ['no realm', [], [], 'has no realm'],
  ['several realms', [realm, { ...realm, name: 'b', services: ['b'] }], [], 'choose one with --realm: acme, b'],
  ['an unknown service', [realm], ['--service', 'x'], 'there is no service x; known: registry.example.com'],
  ['no url', [{ ...realm, url: undefined }], [], 'has no url'],
  ['a folder that is not there', [realm], ['--bundle', '/not/there'], 'is not there (ENOENT)'],
])('%s: a sentence', async (_what, realms, args, sentence) => {
  const { status, stderr } = await print(['-c', config(...realms), ...args])
  expect([status, stderr]).toEqual([1, expect.stringContaining(sentence)])
})
