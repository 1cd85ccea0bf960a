// `sallyport inspect`: which policy judges, each check with its result, what is wrong, and what to do about it.
import { beforeAll, expect, test } from '@jest/globals'
import { explicit, implicit, sequence, utcTime } from '../support/der.ts'
import { temporaryFile } from '../support/folder.ts'
import { sallyport } from '../support/gateway.ts'
import { nameOf } from '../support/names.ts'
import { authority, extension, type Issued, selfSigned } from '../support/pki.ts'

const clients = authority('clients')
const between = clients.authority('between')
const deep = between.authority('deep')
const acmeOnly = sequence(explicit(0, sequence(explicit(4, nameOf(['O', 'Acme'])))))
const narrow = clients.authority('narrow', { extensions: [extension('2.5.29.30', acmeOnly, true)] })
const otherKey = extension('2.5.29.35', sequence(implicit(0, Buffer.alloc(20, 7))))
const strangers = authority('strangers')
const renewed = authority('clients')
const front = authority('servers').server('localhost')
const revoked = clients.client('revoked')

let config: string
let demanding: string

beforeAll(() => {
  config = configWith({})
  demanding = configWith({
    pinned_certs: ['0'.repeat(64)],
    ssl_verify_extended_key_usage: ['emailProtection'],
    ssl_verify_policies: ['1.3.6.1.4.1.1'],
    ssl_verify_allow: [{ subject: { CN: 'bob' } }],
  })
})

function configWith(demands: object): string {
  const server = {
    server_names: ['localhost'],
    ssl_certificate: front.chain,
    ssl_certificate_key: front.key,
    ssl_client_certificate: clients.certificate,
    ssl_crl: clients.crl([revoked]),
    ssl_verify_client: 'on',
    ...demands,
  }
  return temporaryFile(
    'gateway.yaml',
    JSON.stringify({
      listeners: [{ listen: '127.0.0.1:0', servers: [server] }],
      services: [{ name: 'api', url: 'https://api.internal', routes: [{ name: 'all', paths: ['/'] }] }],
    }),
  )
}

async function inspect(pem: string, { by = config, args = [] as string[] } = {}): Promise<string> {
  const { status, stdout, stderr } = await sallyport(['inspect', temporaryFile('client.pem', pem), '-c', by, ...args])
  const isRefused = /a request is refused|"refusal"/.test(stdout)
  expect([status, stderr]).toEqual([isRefused ? 2 : 0, ''])
  return stdout
}

test('the policy that judges, and each check, for a good one', async () => {
  const text = await inspect(clients.client('ada').chain)
  expect(text).toContain(
    'policy: listeners[0].servers[0] trusts CN=clients, ssl_verify_depth 1, revocation: ssl_crl, chain, STRICT',
  )
  expect(text.match(/^ {2}ok: .*$/gm)).toEqual([
    '  ok: issued by an authority that the server trusts',
    '  ok: each signature is of the key above it',
    '  ok: every certificate of the chain is valid now',
    '  ok: meant for TLS clients',
    '  ok: each issuer may issue certificates',
    '  ok: each issuer may certify these names',
    '  ok: no critical extension that nobody knows',
    '  ok: keys and signatures of 112 bits or more',
    '  ok: not revoked',
    '  ok: no more intermediates than ssl_verify_depth',
    '  ok: what the server demands besides (pins, usages, policies, names)',
  ])
  expect(text).not.toMatch(/wrong|mend/)
})

test.each<[string, () => string, RegExp, RegExp]>([
  [
    'a root that is sent but not trusted',
    () => strangers.client('mallory').chain + strangers.certificate,
    /\[SELF_SIGNED_CERT_IN_CHAIN\]/,
    /issued by CN=strangers, which is in the chain file but not in ssl_client_certificate; add it there/,
  ],
  [
    'an issuer that is nowhere',
    () => between.client('ada').certificate,
    /\[UNABLE_TO_GET_ISSUER_CERT_LOCALLY\]/,
    /issued by CN=between, which is neither in the chain file nor in ssl_client_certificate; add it to the chain file/,
  ],
  [
    'an authority that was renewed with another key',
    () => renewed.client('ada').certificate,
    /unable to/,
    /ssl_client_certificate has another CN=clients, with another key/,
  ],
  [
    'one that signed itself',
    () => selfSigned('eve').certificate,
    /\[DEPTH_ZERO_SELF_SIGNED_CERT\]/,
    /have it issued by CN=clients/,
  ],
  [
    'an expired one',
    () => clients.client('old', { validFrom: -9, validUntil: -1 }).chain,
    /CN=old: certificate has expired \[CERT_HAS_EXPIRED\]/,
    /it ended on \d{4}-\d\d-\d\dT.*; have CN=clients issue a new one/,
  ],
  [
    'one with a date that OpenSSL cannot compare',
    () => clients.client('odd', { dates: [utcTime('260101000000+0000'), utcTime('490101000000Z')] }).chain,
    /\[ERROR_IN_CERT_NOT_BEFORE_FIELD\]/,
    /have CN=clients issue it anew with dates as RFC 5280 wants them: in UTC, with seconds/,
  ],
  [
    'one that names another key of its issuer',
    () => clients.client('odd', { onlyExtensions: [otherKey] }).chain,
    /\[UNABLE_TO_GET_ISSUER_CERT_LOCALLY\]/,
    /ssl_client_certificate has another CN=clients, with another key/,
  ],
  ['one for servers', () => clients.server('www.test').chain, /\[INVALID_PURPOSE\]/, /clientAuth/],
  ['a revoked one', () => revoked.chain, /\[CERT_REVOKED\]/, /CN=clients took it back/],
  [
    'one below an authority without a list',
    () => between.client('ada').chain,
    /\[UNABLE_TO_GET_CRL\]/,
    // A setting does not help: the list of its issuer is needed in any case.
    /add the list of CN=between to ssl_crl\n/,
  ],
  [
    'one below an authority whose own issuer has no list',
    () => deep.client('ada').chain,
    /\[UNABLE_TO_GET_CRL\]/,
    /add the list of CN=between to ssl_crl, or set ssl_crl_check: leaf/,
  ],
  [
    'one with a name that its authority may not certify',
    () => narrow.client('eve').chain,
    /CN=eve: unspecified certificate verification error \(the name constraints of CN=narrow forbid its directory name\)/,
    /names that the name constraints of its authorities permit/,
  ],
])('%s', async (_what, pem, wrong, mend) => {
  const text = await inspect(pem())
  expect(text).toMatch(new RegExp(`wrong: .*${wrong.source}`))
  expect(text).toMatch(new RegExp(`mend: .*${mend.source}`))
  expect(text).toMatch(/refused with 400 GW_CLIENT_CERTIFICATE_INVALID/)
})

test.each([
  ['who is let in with it', clients.certificate, 'unable to get local issuer certificate', /a request is let in/],
  [
    'who is refused, as his chain leads to an authority that is trusted',
    clients.certificate + between.certificate,
    'unable to get issuer certificate',
    /refused with 400 GW_CLIENT_CERTIFICATE_INVALID/,
  ],
])(
  'a chain that is too long, in the words of the gateway: %s by optional_no_ca',
  async (_who, trusted, reason, outcome) => {
    const demands = { ssl_client_certificate: trusted, ssl_crl: undefined, ssl_verify_client: 'optional_no_ca' }
    const text = await inspect(deep.client('far').chain, { by: configWith(demands) })
    expect(text).toContain(`CN=between: ${reason} (the chain has 2 intermediates, ssl_verify_depth allows 1)`)
    expect(text).toContain('mend: set ssl_verify_depth to 2')
    expect(text).toContain(`VERIFIED: FAILED:${reason}\n`)
    expect(text).toMatch(outcome)
  },
)

test('everything that a server demands besides, and not the first of it alone', async () => {
  const ada = clients.client('ada')
  const text = await inspect(ada.chain, { by: demanding })
  expect(text.match(/^ {2}(wrong|ok: what).*$|^ +mend: .*$/gm)).toEqual([
    expect.stringMatching(/wrong: certificate not pinned \(the SHA-256 of its public key is [0-9a-f]{64}\) \[CERT_NOT/),
    '    mend: add that to pinned_certs if this key may come in',
    '  wrong: certificate lacks a required extended key usage (it lacks emailProtection) [EXTENDED_KEY_USAGE_MISSING]',
    '    mend: have it issued with that usage, or take it out of ssl_verify_extended_key_usage',
    '  wrong: no explicit policy [NO_EXPLICIT_POLICY]',
    expect.stringContaining('have it issued under one of ssl_verify_policies'),
    '  wrong: certificate name not allowed (no rule of ssl_verify_allow fits CN=ada) [CERT_NAME_NOT_ALLOWED]',
    expect.stringContaining('add a rule for it'),
  ])
  expect(text).toContain('VERIFIED: FAILED:certificate not pinned')
})

test('--json has it for scripts, with the codes of the log', async () => {
  const old: Issued = deep.client('old', { validFrom: -9, validUntil: -1 })
  const [server] = JSON.parse(await inspect(old.chain, { args: ['--json'] })).servers
  expect(server.policy).toEqual({
    setting: 'listeners[0].servers[0]',
    authorities: ['CN=clients'],
    ssl_verify_depth: 1,
    revocation: 'ssl_crl, chain, STRICT',
  })
  const wrong = server.checks.filter((check: { result: string }) => check.result === 'wrong')
  expect(wrong.map((check: { check: string }) => check.check)).toEqual(['validity', 'revocation'])
  expect(wrong[0].findings).toEqual([
    {
      code: 'CERT_HAS_EXPIRED',
      subject: 'CN=old',
      reason: 'certificate has expired',
      remedy: expect.stringContaining('CN=deep'),
    },
  ])
})
