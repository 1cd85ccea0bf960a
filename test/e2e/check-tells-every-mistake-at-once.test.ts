import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { temporaryFolder } from '../support/folder.ts'
import { sallyport } from '../support/gateway.ts'
import { authority } from '../support/pki.ts'

const folder = temporaryFolder()
const servers = authority('servers')
const front = servers.server('localhost')

beforeAll(() => {
  writeFileSync(join(folder, 'front.crt'), front.chain)
  writeFileSync(join(folder, 'front.key'), front.key)
  writeFileSync(join(folder, 'other.key'), servers.server('other').key)
  writeFileSync(join(folder, 'ca.crt'), servers.certificate)
})

async function check(yaml: string, env: Record<string, string> = {}) {
  const file = join(folder, 'sallyport.yaml')
  writeFileSync(file, yaml)
  const { status, stdout, stderr } = await sallyport(['check', '-c', file], { env })
  return { status, output: stdout + stderr, file }
}

const GOOD = `
_format_version: "3.0"
listeners:
  - listen: 127.0.0.1:0
    servers:
      - server_names: [localhost]
        ssl_certificate: front.crt
        ssl_certificate_key: front.key
        ssl_client_certificate: ca.crt
        ssl_verify_client: optional
services:
  - name: api
    url: https://api.internal:\${API_PORT:-8443}/v1
    routes:
      - name: all
        paths: [/]
`

describe('a good file', () => {
  test('exit status 0, and until when each certificate is valid', async () => {
    const { status, output } = await check(GOOD)
    expect(output).toContain(front.x509.validToDate.getUTCFullYear().toString())
    expect(status).toBe(0)
  })
  test('whose each certificate is, and who issued it', async () => {
    const { output } = await check(GOOD)
    expect(output).toContain(`server certificate localhost: ${front.x509.subject}, issued by CN=servers, valid until`)
    expect(output).toContain('ca certificate client: CN=servers, valid until')
  })
  test('which certificates are those of keys that sign tokens', async () => {
    const realm = `
certificates: [{ name: tokens, cert: front.crt, key: front.key }]
registry_realms: [{ name: acme, services: [registry.test], certificate: tokens }]
`
    const { output } = await check(GOOD + realm)
    expect(output).toContain(`signing certificate tokens: ${front.x509.subject}, issued by CN=servers, valid until`)
    expect(output).not.toContain('server certificate tokens')
  })
  test('variables are filled in from the environment', async () => {
    expect((await check(GOOD, { API_PORT: '9443' })).status).toBe(0)
    const { status, output } = await check(GOOD, { API_PORT: 'x' })
    expect(status).toBe(1)
    expect(output).toMatch(/services\[0\]\.url/)
  })
})

test('of an authority that cannot be read nobody is told that it is not there', async () => {
  const damaged = '-----BEGIN CERTIFICATE-----\\nAAAA\\n-----END CERTIFICATE-----'
  const { status, output } = await check(`${GOOD}
ca_certificates: [{ name: root, cert: "${damaged}" }]
consumers:
  - username: ada
    mtls_auth_credentials: [{ subject_name: ada@example.com, ca_certificate: root }]
`)
  expect(status).toBe(1)
  expect(output).toMatch(/one problem\n.*ca_certificates\[0\]\.cert: Certificate 1 is damaged/)
})

test('damaged credentials are told beside what keeps the rest from being looked at', async () => {
  const { status, output } = await check(`
services: [{ name: api, url: https://api.internal, routes: [{ name: all, paths: [/] }] }]
consumers:
  - username: ada
    basicauth_credentials: [{ username: ada, password: "$argon2id$…" }]
    totp_credentials: [{ secret: "not base32!" }]
`)
  expect(status).toBe(1)
  expect(output).toMatch(/ssl_certificate: is missing/)
  expect(output).toMatch(/:5:\d+: consumers\[0\]\.basicauth_credentials\[0\]\.password: is no .* hash that is whole/)
  expect(output).toMatch(/:6:\d+: consumers\[0\]\.totp_credentials\[0\]\.secret: /)
})

const TEN_MISTAKES = `_format_version: "3.0"
listeners:
  - listen: 127.0.0.1:99999
    client_header_timeout: soon
    servers:
      - server_names: [localhost]
        ssl_certificate: front.crt
        ssl_certificate_key: front.key
        ssl_client_certificate: missing.crt
        ssl_verify_clients: on
  - listen: 127.0.0.1:0
    servers:
      - server_names: [other.test]
        ssl_certificate: front.crt
        ssl_certificate_key: front.key
        ssl_verify_client: maybe
      - server_names: [third.test]
        ssl_certificate: front.crt
        ssl_certificate_key: other.key
services:
  - name: api
    url: ftp://api.internal
    retries: -1
    routes:
      - name: all
        path: [/]
  - name: other
    url: https://other.internal
    client_certificate: 33333333-3333-4333-8333-333333333333
    routes:
      - name: regex
        paths: ["~/(unclosed"]
`

describe('a file with ten mistakes', () => {
  test.each<[what: string, line: number, words: RegExp]>([
    ['a port that cannot be', 3, /65535/],
    ['a duration that is none', 4, /client_header_timeout/],
    ['a key of another certificate', 19, /ssl_certificate_key/],
    ['a file that is not there', 9, /missing\.crt/],
    ['an unknown setting, with the nearest known one', 10, /ssl_verify_clients.*ssl_verify_client\b/],
    ['a mode that there is not', 16, /optional_no_ca/],
    ['a URL of another scheme', 22, /https?/],
    ['a number out of range', 23, /retries/],
    ['an unknown field of a route', 26, /paths/],
    ['a reference to nothing', 29, /33333333/],
    ['a broken regular expression', 32, /regular expression/],
  ])('%s', async (_what, line, words) => {
    const { status, output, file } = await check(TEN_MISTAKES)
    expect(status).toBe(1)
    const told = output.split('\n').find((text) => text.includes(`${file}:${line}:`))
    expect(told ?? output).toMatch(words)
    expect(told).toMatch(new RegExp(`:${line}:\\d+: `))
  })

  test('from the top of the file to its end', async () => {
    const { output, file } = await check(TEN_MISTAKES)
    const lines = [...output.matchAll(new RegExp(`${file}:(\\d+):`, 'g'))].map(([, line]) => Number(line))
    expect(lines).toEqual(lines.toSorted((a, b) => a - b))
  })

  test('without a stack trace', async () => {
    expect((await check(TEN_MISTAKES)).output).not.toMatch(/^\s+at /m)
  })
})

test('a misspelt mode hides nothing of what is wrong with the authorities and lists beside it', async () => {
  const mistaken = GOOD.replace('optional', 'optinal').replace('ca.crt', 'front.key\n        ssl_crl: front.crt')
  const { status, output } = await check(mistaken)
  expect(status).toBe(1)
  expect(output).toMatch(/:9:\d+: \S+ssl_client_certificate: .*only PRIVATE KEY/)
  expect(output).toMatch(/:10:\d+: \S+ssl_crl: .*no PEM block of a revocation list/)
  expect(output).toMatch(/:11:\d+: \S+ssl_verify_client: .*did you mean "optional"/)
})

test.each([
  ['broken YAML', 'listeners: [', /:\d+:\d+/],
  ['no mapping', '- a\n- b\n', /./],
  ['an empty file', '', /./],
  ['a doubled key', 'services: []\nservices: []\n', /:2:/],
  [
    'an alias bomb',
    `a: &a [x,x,x,x,x,x,x,x,x]\n${'bcdefgh'.replace(/./g, (c) => `${c}: &${c} [*${prev(c)},*${prev(c)},*${prev(c)},*${prev(c)},*${prev(c)},*${prev(c)},*${prev(c)},*${prev(c)},*${prev(c)}]\n`)}`,
    /./,
  ],
])('%s is refused in a sentence', async (_what, yaml, words) => {
  const { status, output } = await check(yaml)
  expect(status).toBe(1)
  expect(output).toMatch(words)
  expect(output).not.toMatch(/^\s+at /m)
})

function prev(letter: string): string {
  return String.fromCharCode(letter.charCodeAt(0) - 1)
}

test('a kong.yml that uses only what we have loads unchanged', async () => {
  const { status, output } = await check(`
_format_version: "3.0"
_transform: true
services:
- name: example-service
  url: https://httpbin.example/anything
  tags: [a]
  routes:
  - name: example-route
    paths:
    - /mock
    methods: [GET, POST]
    strip_path: true
upstreams:
- name: pool.internal
  targets:
  - target: 10.0.0.1:8443
    weight: 100
certificates:
- id: 11111111-1111-4111-8111-111111111111
  cert: ${JSON.stringify(front.certificate)}
  key: ${JSON.stringify(front.key)}
  snis:
  - name: localhost
`)
  expect(output).not.toMatch(/unknown/i)
  expect(status).toBe(0)
})

test('it says where each route leads, with the targets of an upstream and what becomes of the path', async () => {
  const targets = ['10.0.0.1:1', '10.0.0.2:2', '[fd00::3]:3', '10.0.0.4:4'].map((target) => ({ target }))
  const services = [
    { name: 'a', url: 'https://pool/v1', routes: [{ name: 'pool', paths: ['/a'] }] },
    { name: 'b', url: 'http://unix:/run/app.sock:/v2', routes: [{ name: 'socket', paths: ['/b'] }] },
    { name: 'c', url: 'https://[::1]/v3', routes: [{ name: 'one', paths: ['/c'], strip_path: false }] },
    { name: 'd', url: 'https://d', routes: [{ name: 'all', paths: ['/'] }] },
  ]
  const server = { ssl_certificate: 'front.crt', ssl_certificate_key: 'front.key' }
  const { output } = await check(
    JSON.stringify({ listeners: [{ servers: [server] }], services, upstreams: [{ name: 'pool', targets }] }),
  )
  expect(output).toContain(
    'route pool -> https://pool/v1 (10.0.0.1:1, 10.0.0.2:2, [fd00::3]:3, 1 more): /a/… arrives as /v1/… (strip_path)\n',
  )
  expect(output).toContain('route socket -> http://unix:/run/app.sock:/v2: /b/… arrives as /v2/… (strip_path)\n')
  expect(output).toContain('route one -> https://[::1]:443/v3\n')
  expect(output).toContain('route all -> https://d:443\n')
})

test('what run refuses of the environment, check refuses too', async () => {
  const { status, stderr } = await sallyport(['check'], { env: { NODE_TLS_REJECT_UNAUTHORIZED: '0' } })
  expect(status).toBe(1)
  expect(stderr).toContain('NODE_TLS_REJECT_UNAUTHORIZED: is 0, which switches off all verification')
})

test('a plugin that we do not have is refused by name and line', async () => {
  const { status, output, file } = await check(
    '_format_version: "3.0"\nplugins:\n- name: key-auth\nservices:\n- name: a\n  url: http://a\n',
  )
  expect(status).toBe(1)
  expect(output).toContain(`${file}:3:3: plugins[0]: is Kong's plugin key-auth; write rules: [[api-key]]`)
})
