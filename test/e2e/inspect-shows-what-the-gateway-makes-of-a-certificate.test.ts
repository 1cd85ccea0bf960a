import { readFileSync } from 'node:fs'
import { describe, expect, test } from '@jest/globals'
import { startBackend } from '../support/backend.ts'
import { bitString, bmpString, objectIdentifier, sequence } from '../support/der.ts'
import { temporaryFile } from '../support/folder.ts'
import { sallyport, startGateway } from '../support/gateway.ts'
import { nameOf } from '../support/names.ts'
import { authority, extension, Issued, selfSigned } from '../support/pki.ts'

const clients = authority('clients')
const front = authority('servers').server('localhost')

const config = temporaryFile(
  'gateway.yaml',
  JSON.stringify({
    listeners: [
      {
        listen: '127.0.0.1:0',
        servers: [
          {
            server_names: ['localhost'],
            ssl_certificate: front.chain,
            ssl_certificate_key: front.key,
            ssl_client_certificate: clients.certificate,
            ssl_verify_client: 'optional',
          },
        ],
      },
    ],
    services: [{ name: 'api', url: 'https://api.internal', routes: [{ name: 'all', paths: ['/'] }] }],
    identity_headers: { VERIFIED: 'verify', DN: 'subject_dn', 'X-Sans': 'san_email' },
  }),
)

async function inspect(issued: Issued, args: readonly string[] = ['-c', config]) {
  return sallyport(['inspect', temporaryFile('client.pem', issued.chain), ...args])
}

test('its names, its verification and the headers that a backend would see', async () => {
  const subject = nameOf(['C', 'DE'], ['O', bmpString('café')], ['CN', 'ada'])
  const { status, stdout } = await inspect(clients.client('ada', { subject, emails: ['ada@example.test'] }))
  expect(status).toBe(0)
  expect(stdout).toMatch(/VERIFIED: ?SUCCESS/)
  expect(stdout).toMatch(/DN: ?CN=ada,O=caf\\C3\\A9,C=DE/)
  expect(stdout).toContain('ada@example.test')
})

test.each<[string, RegExp, () => Issued]>([
  ['an unknown CA', /FAILED:unable to/, () => authority('strangers').client('mallory')],
  ['expired', /FAILED:certificate has expired/, () => clients.client('old', { validFrom: -9, validUntil: -1 })],
])('and why it would be refused: %s', async (_what, reason, certificate) => {
  const { status, stdout } = await inspect(certificate())
  expect(stdout).toMatch(reason)
  expect(status).toBe(2)
})

describe('where there is no request, as the handshake fails', () => {
  const withServers = (servers: object[]) => {
    const { listeners, ...rest } = JSON.parse(readFileSync(config, 'utf8'))
    const [first] = listeners
    const all = [...servers, ...first.servers.map((server: object) => ({ ...server, ssl_verify_failure: 'reject' }))]
    return temporaryFile('rejects.yaml', JSON.stringify({ ...rest, listeners: [{ ...first, servers: all }] }))
  }
  const rejecting = withServers([{ ssl_reject_handshake: true }])
  const mallory = authority('strangers').client('mallory')

  test('a server that rejects every handshake lets nobody in', async () => {
    const { status, stdout } = await inspect(mallory, ['-c', rejecting])
    expect(stdout).toContain('any name (ssl_reject_handshake on)\n  every handshake fails')
    expect(stdout).toContain('the handshake fails (ssl_verify_failure: reject) with GW_CLIENT_CERTIFICATE_INVALID')
    expect(stdout).not.toContain('is let in')
    expect(status).toBe(2)
    expect((await inspect(clients.client('ada'), ['-c', rejecting])).status).toBe(0)
  })

  test.each([
    ['other.test', 'GW_MISDIRECTED', 'ssl_reject_handshake'],
    ['localhost', 'GW_CLIENT_CERTIFICATE_INVALID', 'ssl_verify_failure'],
  ])('asked for https://%s/, it says so', async (host, code, setting) => {
    const { status, stdout } = await inspect(mallory, ['-c', rejecting, '--for', `https://${host}/`, '--json'])
    const detail = expect.stringMatching(new RegExp(`^the handshake fails .*${setting}`))
    expect(JSON.parse(stdout)).toMatchObject({ decision: { refusal: { code, detail }, headers: [] } })
    expect(status).toBe(2)
  })

  test('check says which server it is', async () => {
    const { stdout } = await sallyport(['check', '-c', rejecting])
    expect(stdout).toContain('for _ (ssl_reject_handshake on), localhost (ssl_verify_client optional)')
  })
})

test('without a configuration it shows what the certificate holds', async () => {
  const { status, stdout } = await inspect(clients.client('ada'), [])
  expect(status).toBe(0)
  expect(stdout).toContain('CN=ada')
})

test('the chain that was found, everything that is wrong, and whether a request would be let in', async () => {
  const between = clients.authority('between')
  const { stdout } = await inspect(between.client('eve', { validFrom: -9, validUntil: -1, purposes: ['serverAuth'] }))
  expect(stdout).toContain('chain: CN=eve < CN=between < CN=clients')
  expect(stdout).toContain('wrong: CN=eve: unsuitable certificate purpose')
  expect(stdout).toContain('wrong: CN=eve: certificate has expired')
  expect(stdout).toContain('refused with 400 GW_CLIENT_CERTIFICATE_INVALID')
})

test('--json is JSON, for scripts', async () => {
  const { status, stdout } = await inspect(clients.client('ada', { hosts: ['a.example', '192.0.2.1'] }), [
    '-c',
    config,
    '--json',
  ])
  expect(status).toBe(0)
  expect(JSON.parse(stdout)).toMatchObject({
    certificates: [
      {
        subject: 'CN=ada',
        extended_key_usage: ['clientAuth'],
        valid_now: true,
        alternative_names: [
          { type: 'dns', value: 'a.example' },
          { type: 'ip', value: '192.0.2.1' },
        ],
      },
    ],
    servers: [
      {
        verified: 'SUCCESS',
        chain: ['CN=ada', 'CN=clients'],
        headers: [
          ['VERIFIED', 'SUCCESS'],
          ['DN', 'CN=ada'],
        ],
      },
    ],
  })
})

test('DER, and standard input', async () => {
  const { der } = clients.client('ada')
  const file = await sallyport(['inspect', temporaryFile('client.der', der), '-c', config])
  expect(file.stdout).toMatch(/VERIFIED: ?SUCCESS/)
  const input = await sallyport(['inspect', '-', '-c', config], { input: der })
  expect(input.stdout).toMatch(/VERIFIED: ?SUCCESS/)
})

test('a configuration that cannot be used is told, and the certificate shown all the same', async () => {
  const broken = temporaryFile('broken.yaml', 'listners: []')
  const { status, stdout, stderr } = await inspect(clients.client('ada'), ['-c', broken])
  expect([status, stdout, stderr]).toEqual([1, expect.stringContaining('CN=ada'), expect.stringContaining('listners')])
})

test('what inspect says, the gateway does', async () => {
  const backend = await startBackend({})
  const gateway = await startGateway({
    config: {
      ...JSON.parse(readFileSync(config, 'utf8')),
      services: [{ name: 'api', url: backend.url, routes: [{ name: 'all', paths: ['/'] }] }],
      admin: { listen: 'off' },
    },
  })
  const certificates = [
    clients.client('ada'),
    clients.client('old', { validFrom: -9, validUntil: -1 }),
    clients.client('web', { purposes: ['serverAuth'] }),
    clients.authority('between').client('below'),
    authority('strangers').client('mallory'),
  ]
  for (const as of certificates) {
    const [said] = JSON.parse((await inspect(as, ['-c', config, '--json'])).stdout).servers
    const answer = await gateway.get('/', { as })
    const line = await gateway.line(answer)
    const verified = line.verify === 'FAILED' ? `FAILED:${line.verify_reason}` : line.verify
    expect([as.name, said.verified, said.refusal]).toEqual([as.name, verified, line.code])
  }
})

const strangers = authority('strangers')
const namesake = authority('clients')
const middle = clients.authority('middle')
const below = middle.authority('low').client('below')
const sentAlong = below.chain.slice(below.certificate.length)
const WITHOUT_KEY_ID = [extension('2.5.29.37', sequence(objectIdentifier('1.3.6.1.5.5.7.3.2')))]
const FOR_SERVERS = extension('2.16.840.1.113730.1.1', bitString(Buffer.from([0x40]), 6))

test.each<[string, object, Issued, string]>([
  [
    'a root that is sent before the intermediates',
    { ssl_verify_client: 'on', ssl_verify_depth: 2 },
    new Issued(below.name, below.der, below.privateKey, clients.certificate + sentAlong, below.serial),
    'SUCCESS',
  ],
  [
    'an intermediate that is trusted, and a stranger of another purpose',
    { ssl_verify_client: 'optional_no_ca', allow_partial_chain: true, ssl_client_certificate: middle.certificate },
    strangers.client('web', { purposes: ['serverAuth'] }),
    'FAILED:unsuitable certificate purpose',
  ],
  [
    'an authority that is not announced, and whoever vouches for himself',
    { ssl_verify_client: 'optional_no_ca', ssl_trusted_certificate: strangers.certificate },
    selfSigned('self'),
    'FAILED:self-signed certificate',
  ],
  [
    'two authorities of one name, and a client of the second that does not say whose he is',
    { ssl_verify_client: 'on', ssl_client_certificate: clients.certificate + namesake.certificate },
    namesake.client('second', { onlyExtensions: WITHOUT_KEY_ID }),
    'FAILED:certificate signature failure',
  ],
  [
    "Netscape's type for servers",
    { ssl_verify_client: 'on' },
    clients.client('netscape', { extensions: [FOR_SERVERS] }),
    'FAILED:unsuitable certificate purpose',
  ],
])('what inspect says, the gateway does: %s', async (_, fields, as, expected) => {
  const backend = await startBackend({})
  const written = JSON.parse(readFileSync(config, 'utf8'))
  Object.assign(written.listeners[0].servers[0], fields)
  written.services[0].url = backend.url
  const gateway = await startGateway({ config: { ...written, admin: { listen: 'off' } } })
  const file = temporaryFile('client.pem', as.chain)
  const { stdout } = await sallyport([
    'inspect',
    file,
    '-c',
    temporaryFile('x.yaml', JSON.stringify(written)),
    '--json',
  ])
  const [said] = JSON.parse(stdout).servers
  const line = await gateway.line(await gateway.get('/', { as }))
  const verified = line.verify === 'FAILED' ? `FAILED:${line.verify_reason}` : line.verify
  expect([verified, line.code]).toEqual([expected, said.refusal])
  expect(said.verified).toBe(expected)
})

test('control characters do not reach the terminal', async () => {
  const { stdout } = await inspect(
    clients.client('evil', {
      subject: nameOf(['CN', 'x\x1b[2J\x07\r\nVERIFIED: SUCCESS']),
      uris: ['spiffe://x/\x1b[31m'],
    }),
  )
  expect(stdout).not.toMatch(/[\x00-\x08\x0b-\x1f\x7f]/)
})

test.each([
  ['a file that is not there', '/nowhere/client.pem'],
  ['a file that is no certificate', temporaryFile('x.pem', 'hello')],
  ['a private key, which is not shown', temporaryFile('k.pem', front.key)],
])('%s is told in a sentence', async (_what, file) => {
  const { status, stdout, stderr } = await sallyport(['inspect', file, '-c', config])
  expect(status).toBe(1)
  expect(stderr).toContain(file)
  expect(stdout + stderr).not.toContain(front.key.split('\n')[1])
  expect(stderr).not.toMatch(/^\s+at /m)
})
