// `identity_presets`: the same client, told in the words of several gateways at once, through real handshakes.
import { Agent } from 'node:https'
import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { headersOf, PRESETS, type PresetName } from '../../src/identity/presets.ts'
import type { Seen } from '../support/backend.ts'
import { type Gateway, refusedStart } from '../support/gateway.ts'
import { type Authority, authority, type Issued, selfSigned } from '../support/pki.ts'
import { listenerOf, makeScene, type Scene } from '../support/scene.ts'

/** As many as can stand side by side; haproxy shares names with nginx, apache with ingress-nginx. */
const TOGETHER: PresetName[] = ['nginx', 'ingress-nginx', 'kong', 'traefik', 'aws-alb', 'envoy', 'rfc9440', 'x5t#S256']

let scene: Scene
let gateway: Gateway
let between: Authority
let ada: Issued

beforeAll(async () => {
  scene = await makeScene()
  between = scene.clients.authority('between')
  ada = between.client('ada', { uris: ['spiffe://td/ada'], hosts: ['ada.test'] })
  const front = scene.servers.server('localhost', { uris: ['spiffe://td/gateway'] })
  const own = { ssl_certificate: front.chain, ssl_certificate_key: front.key }
  gateway = await scene.start({
    ...listenerOf(
      scene.server(own),
      scene.server({ server_names: ['judged-behind.test'], ssl_verify_client: 'optional_no_ca' }),
      scene.server({ server_names: ['open.test'], ssl_verify_client: 'off' }),
    ),
    identity_presets: TOGETHER,
    identity_headers: { 'X-Who': 'id={serial};dn={subject_dn|quoted}' },
  })
})

beforeEach(() => scene.backend.reset())

/** The identity headers that arrived, by name as written. */
function told(seen: Seen | undefined): Record<string, string[]> {
  const headers: Record<string, string[]> = {}
  for (const name of TOGETHER.flatMap(headersOf)) {
    const values = seen?.header(name) ?? []
    if (values.length > 0) headers[name] = values
  }
  return headers
}

async function seenAs(as?: Issued, host = 'localhost'): Promise<Record<string, string[]>> {
  expect((await gateway.get('/', { host, ...(as && { as }) })).status).toBe(200)
  return told(scene.backend.seen[0])
}

const base64 = ({ der }: Issued) => der.toString('base64')
const sha256 = ({ x509 }: Issued) => x509.fingerprint256.replaceAll(':', '').toLowerCase()

describe('with a certificate below an intermediate', () => {
  test('every dialect says who it is', async () => {
    expect(await seenAs(ada)).toMatchObject({
      'X-SSL-Client-Verify': ['SUCCESS'],
      'X-SSL-Client-S-DN': ['CN=ada'],
      'ssl-client-verify': ['SUCCESS'],
      'ssl-client-cert': [encodeURIComponent(ada.certificate)],
      'X-Client-Cert-Subject-DN': ['CN=ada'],
      'X-Forwarded-Tls-Client-Cert': [`${base64(ada)},${base64(between)}`],
      'X-Amzn-Mtls-Clientcert-Subject': ['CN=ada'],
      'X-Forwarded-Client-Cert': [
        `By=spiffe://td/gateway;Hash=${sha256(ada)};Subject="CN=ada";URI=spiffe://td/ada;DNS=ada.test`,
      ],
      'Client-Cert': [`:${base64(ada)}:`],
      'Client-Cert-Chain': [`:${base64(between)}:`],
      'X-Client-Cert-X5t-S256': [Buffer.from(sha256(ada), 'hex').toString('base64url')],
    })
    const serial = ada.x509.serialNumber.padStart(
      ada.x509.serialNumber.length + (ada.x509.serialNumber.length % 2),
      '0',
    )
    expect(scene.backend.seen[0]?.header('X-Who')).toEqual([`id=${serial};dn="CN=ada"`])
  })

  test.each(['TLSv1.2', 'TLSv1.3'] as const)('the chain is told on a resumed session too: %s', async (tls) => {
    const agent = new Agent({ keepAlive: false, maxCachedSessions: 10 })
    const first = await gateway.get('/', { as: ada, agent, tls })
    const second = await gateway.get('/', { as: ada, agent, tls })
    expect([first.resumed, second.resumed]).toEqual([false, true])
    const [full, resumed] = scene.backend.seen.map(told)
    expect(resumed).toEqual(full)
    expect(resumed?.['Client-Cert-Chain']).toEqual([`:${base64(between)}:`])
  })

  test.each<[string, 'sends' | 'omits', boolean]>([
    ['that the client sends', 'sends', false],
    ['that the client sends and the server has as well', 'sends', true],
    ['that only the server has', 'omits', true],
  ])(
    'the chain over an intermediate %s is the same whichever worker resumes the session',
    async (_name, client, has) => {
      const { certificate } = scene.clients
      const both = await scene.start({
        ...listenerOf(scene.server({ ssl_client_certificate: has ? certificate + between.certificate : certificate })),
        identity_presets: ['rfc9440'],
        workers: 2,
      })
      const showing = (issued: Issued): Issued =>
        Object.assign(Object.create(issued), {
          chain: client === 'sends' ? issued.chain + certificate : issued.certificate,
        })
      // Connections go round the workers: both have seen the intermediate, and one of them ada.
      for (const _ of ['one', 'other']) await both.get('/', { as: showing(between.client('bob')) })
      scene.backend.reset()
      const agent = new Agent({ keepAlive: false, maxCachedSessions: 10 })
      const resumed: boolean[] = []
      for (let i = 0; i < 4; i++) resumed.push((await both.get('/', { as: showing(ada), agent })).resumed)
      expect(resumed).toEqual([false, true, true, true])
      const chains = scene.backend.seen.map((seen) => seen.header('Client-Cert-Chain'))
      expect(chains).toEqual(Array(4).fill([`:${base64(between)}:`]))
    },
  )

  test('an issuer that only has the right name is not told as one', async () => {
    const impostor = authority('between')
    const mixed = Object.assign(Object.create(ada), {
      chain: ada.certificate + between.certificate + impostor.certificate,
    })
    expect((await seenAs(mixed))['Client-Cert-Chain']).toEqual([`:${base64(between)}:`])
  })
})

describe('what is not proven is not told as proven', () => {
  const withVerdict = ['X-SSL-Client-', 'ssl-client-']

  test('a certificate of nobody, where the backend judges, comes only with its verdict', async () => {
    const headers = await seenAs(selfSigned('mallory', { uris: ['spiffe://td/ada'] }), 'judged-behind.test')
    expect(Object.keys(headers).filter((name) => !withVerdict.some((prefix) => name.startsWith(prefix)))).toEqual([])
    expect(headers['X-SSL-Client-Verify']).toEqual(['FAILED:self-signed certificate'])
  })

  test.each(['localhost', 'open.test'])('without a certificate there is NONE and nothing else: %s', async (host) => {
    expect(await seenAs(undefined, host)).toEqual({ 'X-SSL-Client-Verify': ['NONE'], 'ssl-client-verify': ['NONE'] })
  })
})

describe.each(['localhost', 'open.test'])('no preset’s name passes from a client, configured or not: %s', (host) => {
  const everyName = (Object.keys(PRESETS) as PresetName[]).flatMap(headersOf)
  const spelt = everyName.flatMap((name) => [
    name,
    name.toLowerCase(),
    name.replaceAll('-', '_'),
    name.replaceAll('_', '.'),
  ])
  const forged = spelt.map((name) => `${name}: forged\r\n`)

  test('as a header', async () => {
    for (let at = 0; at < forged.length; at += 100) {
      const lines = forged.slice(at, at + 100).join('')
      const [answer] = await gateway.talk(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n${lines}\r\n`, {
        servername: host,
      })
      expect(answer?.status).toBe(200)
    }
    expect(JSON.stringify(scene.backend.seen.map(({ rawHeaders }) => rawHeaders))).not.toContain('forged')
  })

  test('nor in a trailer', async () => {
    const start = `POST / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n`
    for (let at = 0; at < forged.length; at += 100) {
      await gateway.talk(`${start}${forged.slice(at, at + 100).join('')}\r\n`, { servername: host })
    }
    expect(scene.backend.seen.map(({ body }) => body.toString())).toContain('hi')
    expect(JSON.stringify(scene.backend.seen.map(({ trailers }) => trailers))).not.toContain('forged')
  })
})

test.each([
  ['Client-Cert', '*'],
  ['Accept-Encoding, client_cert', '*'],
  ['X-Forwarded-Client-Cert', '*'],
  ['Accept-Encoding, X-Forwarded-Proto', 'Accept-Encoding, X-Forwarded-Proto'],
])('an answer that varies by %s says Vary: %s', async (vary, expected) => {
  scene.backend.respond = (_request, response) => response.writeHead(200, { vary }).end('ok')
  expect((await gateway.get('/', { as: ada })).headers.vary).toBe(expected)
})

test('who would need a larger header than allowed is refused, by name', async () => {
  const small = await scene.start({ identity_presets: ['rfc9440'], identity_headers_max_size: 256 })
  const answer = await small.get('/', { as: ada })
  expect([answer.status, answer.text]).toEqual([400, expect.stringContaining('GW_IDENTITY_TOO_LARGE')])
  expect((await small.line(answer)).detail).toMatch(/^Client-Cert would have \d+ bytes, the limit is 256$/)
  expect(scene.backend.seen).toEqual([])
  expect((await small.get('/')).status).toBe(200)
})

test.each([
  ['two presets with one header', { identity_presets: ['nginx', 'haproxy'] }, /X-SSL-Client-Verify \(nginx\) and/],
  [
    'a preset’s header beside one of ours',
    { identity_presets: ['rfc9440'], identity_headers: { client_cert: 'verify' } },
    /client_cert \(identity_headers\) and Client-Cert \(rfc9440\)/,
  ],
  ['an unknown preset', { identity_presets: ['nginz'] }, /did you mean/],
  ['a template that can be imitated', { identity_headers: { X: 'dn={subject_dn};ok' } }, /\{subject_dn\|quoted\}/],
  [
    'a mode that believes nobody',
    { identity_presets: ['envoy'], forward_client_cert_details: 'APPEND_FORWARD' },
    /trusted_ips/,
  ],
])('%s is refused at the start', async (_what, parts, message) => {
  const { stdout, stderr } = await refusedStart({ config: scene.config(parts) })
  expect(stdout + stderr).toMatch(message)
})
