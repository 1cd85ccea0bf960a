/** What nats-server's own tests expect around its mapping (test/tls_test.go, server/auth_test.go), of a gateway with the same settings. */
import { createHash } from 'node:crypto'
import { connect as connectTcp } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { type Ask, ask } from '../support/client.ts'
import { temporaryFile } from '../support/folder.ts'
import { type Gateway, refusedStart, sallyport, startGateway } from '../support/gateway.ts'
import { nameOf } from '../support/names.ts'
import { authority, type Issued } from '../support/pki.ts'
import { makeScene, type Scene } from '../support/scene.ts'
import { waitFor } from '../support/wait.ts'

let scene: Scene
let gateway: Gateway
let stranger: Issued

const pinOf = ({ x509 }: Issued) =>
  createHash('sha256')
    .update(x509.publicKey.export({ type: 'spki', format: 'der' }))
    .digest('hex')

const basic = (name: string, password: string) => ({
  headers: { authorization: `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}` },
})

const SECRET = 's3cr3t'
const users = [
  { user: 'derek@nats.io' },
  { user: 'ws@nats.io', allowed_connection_types: ['websocket', 'MQTT'] },
  { user: 'CN=ws,O=Acme' },
  { user: 'all@nats.io', clients: ['STANDARD'] },
  { user: 'CN=both,O=Acme', password: SECRET },
  { user: 'certUser' },
]

/** Ports in the order of the listeners. */
let ports: number[]

beforeAll(async () => {
  scene = await makeScene()
  stranger = authority('strangers').client('stranger')
  const files = { CERT_FILE: scene.front.chain, key_File: scene.front.key, ca_file: scene.clients.certificate }
  const listener = (tls: object, server: object = {}) => ({
    listen: '127.0.0.1:0',
    tls: { ...files, ...tls },
    servers: [server],
  })
  gateway = await scene.start({
    log: { level: 'debug' },
    listeners: [
      listener({ Verify_And_Map: true }, { authorization: { users } }),
      listener({ verify: true, pinned_certs: [pinOf(scene.ada).toUpperCase()] }),
      listener({ timeout: 0.5 }),
      listener({ connection_rate_limit: 3 }),
    ],
    consumers: [{ username: 'guest', basicauth_credentials: [{ username: 'guest', password: 'guest' }] }],
    services: [
      {
        name: 'api',
        url: scene.backend.url,
        routes: [
          { name: 'everything', paths: ['/'] },
          { name: 'by name', paths: ['/by-name'], rules: [['password']] },
        ],
      },
    ],
  })
  ports = gateway.log.flatMap(({ kind, port }) => (kind === 'https' ? [Number(port)] : []))
})

const [MAPS, PINS, HURRIES, COUNTS] = [0, 1, 2, 3]
const status = async (listener: number, options: Ask, path = '/') =>
  (await ask(ports[listener] as number, path, options)).status

describe('1.2: what surrounds the mapping', () => {
  const both = () => scene.clients.client('x', { subject: nameOf(['CN', 'both'], ['O', 'Acme']) })

  test('a certificate alone is not enough where its user has a password', async () => {
    expect(await status(MAPS, { as: both() })).toBe(401)
    expect(await status(MAPS, { as: both(), ...basic('', 'wrong') })).toBe(401)
    expect(await status(MAPS, { as: both(), ...basic('CN=both,O=Acme', SECRET) })).toBe(200)
  })

  test('a mapped user without the type of connection is not found, and the search goes on', async () => {
    const as = (emails: string[], subject = nameOf(['CN', 'x'])) => ({
      as: scene.clients.client('x', { emails, subject }),
    })
    expect(await status(MAPS, as(['derek@nats.io']))).toBe(200)
    expect(await status(MAPS, as(['all@nats.io']))).toBe(200)
    expect(await status(MAPS, as(['ws@nats.io']))).toBe(401)
    expect(await status(MAPS, as(['ws@nats.io'], nameOf(['CN', 'ws'], ['O', 'Acme'])))).toBe(200)
    await gateway.logged({ msg: 'user found by certificate', user: 'CN=ws,O=Acme' })
  })

  test.each([
    ['certUser', ''],
    ['certUser', 'wrong'],
    ['attacker', ''],
    ['attacker', 'wrong'],
    ['', ''],
    ['', 'wrong'],
    ['CN=both,O=Acme', ''],
    ['CN=both,O=Acme', SECRET],
  ])('nobody logs in as %j with the password %j where nothing is mapped', async (name, password) => {
    expect(await status(HURRIES, basic(name, password), '/by-name')).toBe(401)
  })

  test('one who has a password for that does', async () => {
    expect(await status(HURRIES, basic('guest', 'guest'), '/by-name')).toBe(200)
  })

  test('a name that the client says besides is not listened to', async () => {
    const as = scene.clients.client('x', { emails: ['derek@nats.io'] })
    const answer = await ask(ports[MAPS] as number, '/', { as, ...basic('guest', 'wrong') })
    expect(await gateway.line(answer)).toMatchObject({ user: 'derek@nats.io' })
  })
})

describe('1.5: verify, pins, rate and time', () => {
  test('verify: no certificate and one of an unknown authority are refused, one of a known is let in', async () => {
    expect([await status(PINS, {}), await status(PINS, { as: stranger })]).toEqual([400, 400])
    expect(await status(PINS, { as: scene.ada })).toBe(200)
  })

  test('pinned_certs: another key of the same authority is refused', async () => {
    const answer = await ask(ports[PINS] as number, '/', { as: scene.clients.client('ada') })
    expect(answer.status).toBe(400)
    expect(await gateway.line(answer)).toMatchObject({ verify_reason: 'certificate not pinned' })
  })

  test('connection_rate_limit: 3: of ten rapid connections exactly three are served', async () => {
    const outcomes = await Promise.all(Array.from({ length: 10 }, () => status(COUNTS, {}).catch(() => 0)))
    expect(outcomes.filter((outcome) => outcome === 200)).toHaveLength(3)
  })

  test('timeout: a handshake that does not come to its end is cut off', async () => {
    const socket = connectTcp(ports[HURRIES] as number, '127.0.0.1')
    let ended = false
    socket
      .on('error', () => {})
      .on('close', () => {
        ended = true
      })
    socket.resume()
    await waitFor('the end of the connection', () => ended)
    // Before that a client was in time.
    const late = connectTls({ port: ports[HURRIES] as number, host: '127.0.0.1', rejectUnauthorized: false })
    await waitFor('a handshake', () => late.getProtocol() !== null)
    late.destroy()
  })
})

describe('misuse is refused in the words of NATS', () => {
  const PEM = () => ({ cert_file: scene.front.chain, key_file: scene.front.key, ca_file: scene.clients.certificate })
  const MISUSE: readonly (readonly [string, () => object, string])[] = [
    [
      'a certificate without its key',
      () => ({ cert_file: scene.front.chain }),
      "missing 'key_file' in TLS configuration",
    ],
    [
      'a key without its certificate',
      () => ({ key_file: scene.front.key }),
      "missing 'cert_file' in TLS configuration",
    ],
    ['a pair that is none', () => ({ ...PEM(), key_file: scene.ada.key }), 'error parsing X509 certificate/key pair'],
    [
      'a certificate that is none',
      () => ({ ...PEM(), cert_file: temporaryFile('x.pem', 'junk') }),
      'error parsing X509 certificate/key pair',
    ],
    [
      'authorities that are none',
      () => ({ ...PEM(), ca_file: temporaryFile('x.pem', 'junk') }),
      'failed to parse root ca certificate',
    ],
    ['a key that nobody knows', () => ({ ...PEM(), Foo: 1 }), 'error parsing tls config, unknown field "Foo"'],
    [
      'one of NATS that stands elsewhere here',
      () => ({ ...PEM(), cipher_suites: ['x'] }),
      'error parsing tls config, unknown field "cipher_suites": write ssl_ciphers at the server',
    ],
    [
      'one of clusters',
      () => ({ ...PEM(), verify_cert_and_check_known_urls: true }),
      'verify_cert_and_check_known_urls not supported in this context',
    ],
    ['a key twice', () => ({ ...PEM(), CA_file: 'x' }), 'stands here twice, in another case'],
    [
      'mapping without verifying',
      () => ({ ...PEM(), verify: false, verify_and_map: true }),
      'contradicts verify_and_map',
    ],
    ['a pin that is none', () => ({ ...PEM(), verify: true, pinned_certs: ['abc'] }), 'tls.pinned_certs'],
    // NATS would trust whoever a public authority certified.
    ['verify without authorities', () => ({ ...PEM(), ca_file: undefined, verify: true }), 'no ssl_client_certificate'],
  ]
  let told: string

  // A check tells everything at once.
  beforeAll(async () => {
    const listeners = MISUSE.map(([, tls], i) => ({ listen: `127.0.0.1:${20_000 + i}`, tls: tls(), servers: [{}] }))
    const config = temporaryFile('nats.yaml', JSON.stringify(scene.config({ listeners })))
    const { status, stderr } = await sallyport(['check', '-c', config])
    expect(status).toBe(1)
    told = stderr
  })

  test.each(MISUSE.map(([name, , words], i) => [name, words, i] as const))('%s', (_, words, i) => {
    expect(
      told
        .split('\n')
        .filter((line) => line.includes(` listeners[${i}].`))
        .join('\n'),
    ).toContain(words)
  })

  test.each<[string[], string]>([
    [['--tls'], 'TLS Server certificate must be present and valid'],
    [['--tls=false'], 'every listener speaks TLS'],
    [['--tlscacert', 'x.pem'], 'TLS Server certificate must be present and valid'],
    [['--tlskey', 'x.pem'], 'TLS Server certificate must be present and valid'],
  ])('%j', async (args, words) => {
    const { status, stderr } = await refusedStart({ config: scene.config(), args })
    expect(stderr).toContain(words)
    expect(status).toBe(1)
  })
})

test('flags replace what the tls block of the file says, which keeps its map, timeout and pins', async () => {
  const other = authority('other clients')
  const { certificate, key } = scene.front.files()
  const tls = {
    cert_file: scene.ada.chain,
    key_file: scene.ada.key,
    ca_file: scene.clients.certificate,
    verify_and_map: true,
  }
  const servers = [{ authorization: { users: [{ user: 'derek@nats.io' }] } }]
  const config = scene.config({ listeners: [{ listen: '127.0.0.1:0', tls, servers }] })
  const authorities = temporaryFile('other.pem', other.certificate)
  const args = ['--tls', '--tlscert', certificate, '--tlskey', key, '--tlscacert', authorities, '--tlsverify']
  const flagged = await startGateway({ config, args })
  const emails = ['derek@nats.io']
  expect((await flagged.get('/', { as: other.client('x', { emails }) })).status).toBe(200)
  expect((await flagged.get('/', { as: other.client('x') })).status).toBe(401)
  expect((await flagged.get('/', { as: scene.clients.client('x', { emails }) })).status).toBe(400)
})
