import { createHash, createPrivateKey, generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { exportJWK, type JWTPayload, SignJWT } from 'jose'
import { json } from '../support/client.ts'
import { temporaryFolder } from '../support/folder.ts'
import { type Gateway, refusedStart } from '../support/gateway.ts'
import type { Issued } from '../support/pki.ts'
import { makeScene, type Scene } from '../support/scene.ts'

const ISSUER = 'https://login.example.com/realms/staff'
const folder = temporaryFolder()
const theirs = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const stolen = generateKeyPairSync('ec', { namedCurve: 'P-256' })
let published: object
let scene: Scene
let gateway: Gateway
let provider: Server
let providerUrl: string

beforeAll(async () => {
  published = { keys: [{ ...(await exportJWK(theirs.publicKey)), kid: 'k1', alg: 'ES256', use: 'sig' }] }
  writeFileSync(join(folder, 'jwks.json'), JSON.stringify(published))
  provider = createServer((_request, response) => {
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify(published))
  })
  await new Promise<void>((resolve) => provider.listen(0, '127.0.0.1', resolve))
  providerUrl = `http://127.0.0.1:${(provider.address() as AddressInfo).port}/jwks.json`
  scene = await makeScene()
  gateway = await scene.start({
    identity_headers: { 'X-User': 'user', 'X-Groups': 'groups', 'X-Credential': 'credential' },
    auth: {
      jwt_issuers: [
        { issuer: ISSUER, audience: ['api'], jwks: join(folder, 'jwks.json') },
        { issuer: 'https://by-url', audience: ['api'], jwks_uri: providerUrl },
        {
          ...{ issuer: 'https://open', audience: ['api'], jwks: JSON.stringify(published) },
          ...{ user_claim: 'preferred_username', groups_claim: 'groups', ephemeral_users: true },
        },
        { issuer: 'https://away', audience: ['api'], jwks_uri: 'http://127.0.0.1:1/jwks.json' },
      ],
    },
    consumers: [{ username: 'ada' }],
    services: [{ name: 'api', url: scene.backend.url, rules: [['token']], routes: [{ name: 'all', paths: ['/'] }] }],
  })
})
afterAll(() => {
  provider.closeAllConnections()
  provider.close()
})

interface Made {
  readonly claims?: JWTPayload
  readonly key?: KeyObject | Uint8Array
  readonly alg?: string
  readonly kid?: string
  readonly exp?: string | number | undefined
}

/** A token as its issuer makes it; the test says what is different. */
function token({
  claims = {},
  key = theirs.privateKey,
  alg = 'ES256',
  kid = 'k1',
  ...rest
}: Made = {}): Promise<string> {
  const made = new SignJWT({ iss: ISSUER, aud: 'api', sub: 'ada', ...claims }).setProtectedHeader({ alg, kid })
  const exp = 'exp' in rest ? rest.exp : '5m'
  if (exp !== undefined) made.setExpirationTime(exp)
  return made.sign(key)
}

const ask = (bearer: string, as?: Issued) =>
  gateway.get('/', { ...(as && { as }), headers: { authorization: `Bearer ${bearer}` } })

test.each([
  ['its keys in a file', {}],
  ['its keys at a URL', { iss: 'https://by-url' }],
  ['several audiences', { aud: ['other', 'api'] }],
  ['a number in place of its id', { jti: 5 } as unknown as JWTPayload],
])('a token of an issuer, %s', async (_, claims) => {
  const bearer = await token({ claims })
  for (let i = 0; i < 2; i++) {
    expect((await ask(bearer)).status).toBe(200)
    expect(scene.backend.last.header('x-user')).toEqual(['ada'])
    expect(scene.backend.last.header('authorization')).toEqual([])
  }
})

test('a user whom the configuration does not know counts only where that is set', async () => {
  expect((await ask(await token({ claims: { sub: 'xenia' } }))).status).toBe(401)
  const claims = { iss: 'https://open', preferred_username: 'xenia', groups: ['g1', 'a,b', 5, 'g2'] }
  expect((await ask(await token({ claims }))).status).toBe(200)
  expect([scene.backend.last.header('x-user'), scene.backend.last.header('x-groups')]).toEqual([['xenia'], ['g1,g2']])
})

test('a token that is bound to a certificate works only with it', async () => {
  const [certificate, other] = [scene.clients.client('any'), scene.clients.client('any')]
  const thumbprint = createHash('sha256').update(new X509Certificate(certificate.certificate).raw).digest('base64url')
  const bearer = await token({ claims: { cnf: { 'x5t#S256': thumbprint } } })
  expect((await ask(bearer, certificate)).status).toBe(200)
  expect([(await ask(bearer, other)).status, (await ask(bearer)).status]).toEqual([401, 401])
  expect((await ask(await token({ claims: { cnf: { jkt: 'of a DPoP key' } } }))).status).toBe(401)
})

const now = () => Math.floor(Date.now() / 1000)
const unsigned = (claims: object) =>
  `${[{ alg: 'none' }, { iss: ISSUER, aud: 'api', sub: 'ada', exp: now() + 60, ...claims }].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')}.`

test.each<[string, () => string | Promise<string>]>([
  ['that has expired', () => token({ exp: now() - 60 })],
  ['that never expires', () => token({ exp: undefined })],
  ['that begins later', () => token({ claims: { nbf: now() + 600 } })],
  ['for others', () => token({ claims: { aud: 'other' } })],
  ['for nobody in particular', () => token({ claims: { aud: [] } })],
  ['of an issuer who is not known', () => token({ claims: { iss: `${ISSUER}/` } })],
  ['without a user', () => token({ claims: { sub: undefined } as unknown as JWTPayload })],
  ['whose user is no text', () => token({ claims: { sub: ['ada'] } as unknown as JWTPayload })],
  ['signed by another key', () => token({ key: stolen.privateKey })],
  ['signed by a key that is not published', () => token({ key: stolen.privateKey, kid: 'k2' })],
  ['without a signature', () => unsigned({})],
  [
    'whose HMAC is made with the public key',
    () => token({ alg: 'HS256', key: Buffer.from(theirs.publicKey.export({ format: 'pem', type: 'spki' })) }),
  ],
  [
    'that was changed',
    async () =>
      (await token()).replace(
        /\.[^.]+\./,
        `.${Buffer.from(JSON.stringify({ iss: ISSUER, aud: 'api', sub: 'root', exp: now() + 60 })).toString('base64url')}.`,
      ),
  ],
  ['that is much', () => token({ claims: { more: 'x'.repeat(9000) } })],
  ['that is none', () => 'a.b.c'],
])('a token %s: 401', async (_, make) => {
  const before = scene.backend.seen.length
  expect((await ask(await make())).status).toBe(401)
  expect(scene.backend.seen).toHaveLength(before)
})

test('where the keys cannot be fetched nobody can tell: 503', async () => {
  const answer = await ask(await token({ claims: { iss: 'https://away' } }))
  expect([answer.status, json(answer).code]).toEqual([503, 'GW_UNDECIDED'])
})

describe('a start is refused', () => {
  const issuer = { issuer: 'https://x', audience: ['api'] }
  test.each<[string, object, RegExp]>([
    ['for keys over plain HTTP', { ...issuer, jwks_uri: 'http://login.example.com/jwks' }, /jwks_uri: has no TLS/],
    ['without an audience', { issuer: 'https://x', jwks_uri: 'https://login.example.com/jwks' }, /audience: is empty/],
    ['without keys', issuer, /must set one of jwks_uri and jwks/],
    ['for what is no key set', { ...issuer, jwks: '{"kty":"EC"}' }, /holds no JSON Web Key Set/],
    ['for HMAC', { ...issuer, jwks: '{"keys":[{"kty":"oct","k":"AAAA"}]}' }, /holds private keys/],
    [
      'for an algorithm without key pair',
      { ...issuer, jwks_uri: 'https://x/jwks', algorithms: ['HS256'] },
      /algorithms\[0\]: expected one of RS256/,
    ],
  ])('%s', async (_, jwt, problem) => {
    const { status, stderr } = await refusedStart({ config: scene.config({ auth: { jwt_issuers: [jwt] } }) })
    expect(status).toBe(1)
    expect(stderr).toMatch(problem)
  })

  test('for a private key among those that are published', async () => {
    const jwk = createPrivateKey(theirs.privateKey.export({ format: 'pem', type: 'pkcs8' })).export({ format: 'jwk' })
    const jwt = { ...issuer, jwks: JSON.stringify({ keys: [jwk] }) }
    const { stderr } = await refusedStart({ config: scene.config({ auth: { jwt_issuers: [jwt] } }) })
    expect(stderr).toMatch(/holds private keys/)
    expect(stderr).not.toContain(String(jwk.d))
  })
})
