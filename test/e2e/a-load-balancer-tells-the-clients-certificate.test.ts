// Behind a load balancer that ends TLS: the certificate comes in a header, from trusted_ips only, and counts as if it had come by TLS.
import { generateKeyPairSync } from 'node:crypto'
import { Agent } from 'node:https'
import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { utcTime } from '../support/der.ts'
import { type Gateway, refusedStart } from '../support/gateway.ts'
import { type Authority, authority, type Issued, selfSigned } from '../support/pki.ts'
import { listenerOf, makeScene, type Scene } from '../support/scene.ts'

let scene: Scene
let gateway: Gateway
let between: Authority
let ada: Issued
let eve: Issued
let revoked: Issued
const ownCurve = generateKeyPairSync('ec', { namedCurve: 'P-256', paramEncoding: 'explicit' })

beforeAll(async () => {
  scene = await makeScene()
  between = scene.clients.authority('between')
  ada = between.client('ada')
  eve = scene.clients.client('eve')
  revoked = scene.clients.client('revoked')
  gateway = await scene.start({
    ...listenerOf(...servers()),
    trusted_ips: ['127.0.0.1'],
    identity_presets: ['rfc9440'],
  })
})

beforeEach(() => scene.backend.reset())

function servers(): object[] {
  const crl = scene.clients.crl([revoked]) + between.crl()
  return [
    scene.server({ certificate_header_format: 'rfc9440', ssl_verify_client: 'optional', ssl_crl: crl }),
    scene.server({
      server_names: ['demands.test'],
      certificate_header_format: 'rfc9440',
      ssl_verify_client: 'on',
      ssl_crl: crl,
    }),
    scene.server({
      server_names: ['escaped.test'],
      certificate_header_format: 'url_encoded',
      certificate_header_name: 'X-My-Cert',
    }),
    scene.server({ server_names: ['plain.test'] }),
  ]
}

const item = ({ der }: Issued) => `:${der.toString('base64')}:`
const header = (as: Issued, ...issuers: Issued[]) => ({
  'client-cert': item(as),
  ...(issuers.length > 0 && { 'client-cert-chain': issuers.map(item).join(', ') }),
})

/** VERIFIED and DN of each request that arrived. */
function told(): string[][] {
  return scene.backend.seen.map((seen) => [...seen.header('VERIFIED'), ...seen.header('DN')])
}

test('one connection carries the requests of many clients, each with his own certificate', async () => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const requests = [header(ada, between), header(eve), {}, header(eve), header(ada, between)]
  for (const headers of requests) expect((await gateway.get('/', { headers, agent })).status).toBe(200)
  agent.destroy()
  expect(told()).toEqual([
    ['SUCCESS', 'CN=ada'],
    ['SUCCESS', 'CN=eve'],
    ['NONE'],
    ['SUCCESS', 'CN=eve'],
    ['SUCCESS', 'CN=ada'],
  ])
  const [first] = scene.backend.seen
  expect([first?.header('Client-Cert'), first?.header('Client-Cert-Chain')]).toEqual([[item(ada)], [item(between)]])
  expect(scene.backend.seen[2]?.header('Client-Cert')).toEqual([])
})

test('the log names the client, not the load balancer', async () => {
  const answer = await gateway.get('/', { headers: header(eve), as: scene.clients.client('balancer') })
  expect(await gateway.line(answer)).toMatchObject({ status: 200, verify: 'SUCCESS', subject: 'CN=eve' })
})

test('the load balancer’s own certificate is never the client’s', async () => {
  const as = scene.clients.client('balancer')
  expect((await gateway.get('/', { as })).status).toBe(200)
  expect((await gateway.get('/', { as, host: 'demands.test' })).status).toBe(400)
  expect(told()).toEqual([['NONE']])
})

describe('refused with 400, and with the reason in the log', () => {
  test.each<[string, () => Record<string, string>, string]>([
    ['an unknown authority', () => header(authority('strangers').client('mallory')), 'unable to'],
    [
      'an authority that only has the right name',
      () => header(authority('clients').client('mallory')),
      'unable to|signature',
    ],
    ['a certificate that signs itself', () => header(selfSigned('mallory')), 'self-signed|CRL'],
    ['an expired one', () => header(scene.clients.client('old', { validFrom: -9, validUntil: -1 })), 'expired'],
    ['one that is not valid yet', () => header(scene.clients.client('early', { validFrom: 1 })), 'not yet valid'],
    ['one for servers', () => header(scene.clients.server('www.test')), 'purpose|CRL'],
    [
      'one whose dates OpenSSL could not compare',
      () => header(scene.clients.client('odd', { dates: [utcTime('260101000000+0000'), utcTime('490101000000Z')] })),
      "format error in certificate's notBefore field",
    ],
    [
      'one whose key describes a curve instead of naming it',
      () => header(scene.clients.client('odd', { keys: ownCurve })),
      'unspecified|CRL',
    ],
    ['a revoked one', () => header(revoked), 'revoked'],
    ['a chain that lacks its intermediate', () => header(ada), 'unable to'],
    [
      'one that another client has signed',
      () => {
        const client = scene.clients.clientThatSigns('bob')
        return header(client.client('mallory'), client)
      },
      '.',
    ],
  ])('%s', async (_what, headers, reason) => {
    const answer = await gateway.get('/', { headers: headers() })
    expect(answer.status).toBe(400)
    const line = await gateway.line(answer)
    expect(line).toMatchObject({ code: 'GW_CLIENT_CERTIFICATE_INVALID', verify: 'FAILED' })
    expect(line.verify_reason).toMatch(new RegExp(reason))
    expect(scene.backend.seen).toEqual([])
  })

  test('none where one is demanded', async () => {
    const answer = await gateway.get('/', { host: 'demands.test' })
    expect((await gateway.line(answer)).code).toBe('GW_CLIENT_CERTIFICATE_REQUIRED')
    expect((await gateway.get('/', { host: 'demands.test', headers: header(eve) })).status).toBe(200)
  })

  test.each([
    ['two copies', (of: Issued) => `Client-Cert: ${item(of)}\r\nClient-Cert: ${item(of)}\r\n`],
    ['a copy in another spelling', (of: Issued) => `Client-Cert: ${item(of)}\r\nClient_Cert: ${item(of)}\r\n`],
    ['garbage', () => 'Client-Cert: :AAAA:\r\n'],
    ['a chain alone', (of: Issued) => `Client-Cert-Chain: ${item(of)}\r\n`],
  ])('%s', async (_what, lines) => {
    const [answer] = await gateway.talk(`GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n${lines(eve)}\r\n`)
    expect([answer?.status, answer?.body]).toEqual([400, expect.stringContaining('GW_BAD_REQUEST')])
    expect(scene.backend.seen).toEqual([])
  })

  test('a trailer is no header', async () => {
    const body = `Transfer-Encoding: chunked\r\nTrailer: Client-Cert\r\n\r\n0\r\nClient-Cert: ${item(eve)}\r\n\r\n`
    await gateway.talk(`POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n${body}`)
    expect(told()).toEqual([['NONE']])
  })
})

test.each(['escaped.test', 'plain.test'])(
  'a header that a server is not told to read is removed, not believed: %s',
  async (host) => {
    expect((await gateway.get('/', { host, headers: { ...header(eve), x_my_cert: 'forged' } })).status).toBe(
      host === 'plain.test' ? 200 : 400,
    )
    const other = { ...header(eve), ...(host === 'plain.test' && { 'X-My-Cert': 'forged' }) }
    expect((await gateway.get('/', { host, headers: other })).status).toBe(200)
    expect(told().at(-1)).toEqual(['NONE'])
    expect(JSON.stringify(scene.backend.seen.map(({ rawHeaders }) => rawHeaders))).not.toMatch(/forged|client-cert/i)
  },
)

test('from anybody who is not in trusted_ips it is removed, and his own certificate counts', async () => {
  const elsewhere = await scene.start({ ...listenerOf(...servers()), trusted_ips: ['192.0.2.0/24'] })
  expect((await elsewhere.get('/', { headers: header(eve) })).status).toBe(200)
  expect((await elsewhere.get('/', { headers: header(eve), as: scene.ada })).status).toBe(200)
  expect((await elsewhere.get('/', { host: 'demands.test', headers: header(eve) })).status).toBe(400)
  expect(told()).toEqual([['NONE'], ['SUCCESS', 'CN=ada']])
  expect(scene.backend.seen.flatMap((seen) => seen.header('Client-Cert'))).toEqual([])
})

test('another server’s trust is not borrowed: the connection must be of the same policy', async () => {
  const answer = await gateway.get('/', { host: 'demands.test', servername: 'plain.test', headers: header(eve) })
  expect(answer.status).toBe(421)
})

test('a new list refuses on a connection that is already open', async () => {
  const early = await scene.start({
    ...listenerOf(scene.server({ certificate_header_format: 'rfc9440', ssl_crl: scene.clients.crl() })),
    trusted_ips: ['127.0.0.1'],
  })
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  expect((await early.get('/', { headers: header(eve), agent })).status).toBe(200)
  const { level } = await early.reload(
    scene.config({
      ...listenerOf(scene.server({ certificate_header_format: 'rfc9440', ssl_crl: scene.clients.crl([eve]) })),
      trusted_ips: ['127.0.0.1'],
    }),
  )
  expect(level).toBe('info')
  const answer = await early.get('/', { headers: header(eve), agent })
  expect((await early.line(answer)).verify_reason).toBe('certificate revoked')
  agent.destroy()
})

test.each([
  ['without trusted_ips', { certificate_header_format: 'xfcc' }, /needs trusted_ips/],
  ['without a name', { certificate_header_format: 'url_encoded' }, /certificate_header_name.*is missing/],
  [
    'with a name that the format has already',
    { certificate_header_format: 'rfc9440', certificate_header_name: 'X-C' },
    /remove it/,
  ],
  [
    'with a name that HTTP needs',
    { certificate_header_format: 'url_encoded', certificate_header_name: 'Host' },
    /certificate_header_name/,
  ],
  [
    'where no certificate is asked for',
    { certificate_header_format: 'xfcc', ssl_verify_client: 'off' },
    /ssl_verify_client is off/,
  ],
])('a start %s is refused', async (_what, fields, message) => {
  const { stdout, stderr } = await refusedStart({ config: scene.config(listenerOf(scene.server(fields))) })
  expect(stdout + stderr).toMatch(message)
})
