import { randomBytes } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import { SignJWT } from 'jose'
import { GatewayError } from '../../../src/errors.ts'
import { MemoryStore } from '../../../src/store/memory.ts'
import { signed } from '../../../src/tokens/compact-jwt.ts'
import { Revocations } from '../../../src/tokens/revocations.ts'
import { derivedKeys } from '../../../src/tokens/signing-keys.ts'
import { Tokens } from '../../../src/tokens/tokens.ts'
import { fakeCertificate, fakeConnection } from '../../support/fake-connection.ts'

const HOUR = 3_600_000

function scene({ now = Date.now, cacheEntries = 10 } = {}) {
  const keys = derivedKeys({ secret: randomBytes(32), rotation: 24 * HOUR, lifetime: 3 * HOUR, now })
  const store = new MemoryStore(100, now)
  /** How often a signature was looked at. */
  const checks = { count: 0 }
  const counted = {
    get current() {
      return keys.current
    },
    published: keys.published,
    find(header: string) {
      checks.count += 1
      return keys.find(header)
    },
  }
  const tokens = new Tokens({
    keys: counted,
    issuer: 'us',
    revocations: new Revocations(store, now),
    cacheEntries,
    expiredWindow: 2 * HOUR,
    now,
  })
  return { keys, store, tokens, checks }
}

const plain = fakeConnection()
const withCertificate = (fingerprint: string) =>
  fakeConnection({ certificate: fakeCertificate({ fingerprintSha256: fingerprint.repeat(32) }) })

describe('a token', () => {
  test('is good from the very millisecond on in which its store began', async () => {
    // In 2038; it is less once it has been divided and multiplied by 1000.
    const now = 2_147_485_472_897
    const { tokens } = scene({ now: () => now })
    const { token } = await tokens.issue({ sub: 'ada' }, now + HOUR, plain)
    expect(await tokens.verify(token, plain)).toMatchObject({ status: 'valid' })
  })

  test('is good although the clock was set back since the first one was issued, and a store without the others still knows none of them', async () => {
    const clock = { value: 12 * HOUR }
    const { tokens, store } = scene({ now: () => clock.value })
    await tokens.issue({ sub: 'ada' }, clock.value + HOUR, plain)
    clock.value = 3 * HOUR
    const { token } = await tokens.issue({ sub: 'ada' }, clock.value + HOUR, plain)
    expect(await tokens.verify(token, plain)).toMatchObject({ status: 'valid' })
    await store.delete('epoch:tokens')
    await store.set('epoch:tokens', String(12 * HOUR + 1), HOUR)
    expect(await tokens.verify(token, plain)).toMatchObject({ status: 'invalid' })
  })

  test('says again what it was issued with, on the first look and on every further one', async () => {
    const { tokens } = scene()
    const { token, claims } = await tokens.issue({ sub: 'ada', project_id: 'p' }, Date.now() + HOUR, plain)
    for (const connection of [plain, plain, fakeConnection()]) {
      expect(await tokens.verify(token, connection)).toEqual({ status: 'valid', claims })
    }
    expect(claims).toMatchObject({ iss: 'us', sub: 'ada', project_id: 'p', jti: expect.stringMatching(/^[\w-]{22}$/) })
    expect(claims.cnf).toBeUndefined()
  })

  test('needs nothing to be waited for once it was seen', async () => {
    const { tokens } = scene()
    const { token } = await tokens.issue({ sub: 'ada' }, Date.now() + HOUR, plain)
    await tokens.verify(token, plain)
    expect(tokens.verify(token, plain)).toMatchObject({ status: 'valid' })
    expect(tokens.verify(token, fakeConnection())).toMatchObject({ status: 'valid' })
  })

  test('is of no use once it was revoked, on connections that used it before and on others', async () => {
    const { tokens } = scene()
    const { token, claims } = await tokens.issue({ sub: 'ada' }, Date.now() + HOUR, plain)
    await tokens.verify(token, plain)
    await tokens.revoke(claims)
    for (const connection of [plain, fakeConnection()]) {
      expect(await tokens.verify(token, connection)).toEqual({ status: 'invalid', reason: 'the token was revoked' })
    }
  })

  test('ends when its time is over, also where it was seen before', async () => {
    let now = 1_000_000
    const { tokens } = scene({ now: () => now })
    const { token } = await tokens.issue({ sub: 'ada' }, now + 1000, plain)
    expect(await tokens.verify(token, plain)).toMatchObject({ status: 'valid' })
    now += 1000
    expect(await tokens.verify(token, plain)).toEqual({ status: 'invalid', reason: 'the token has expired' })
    expect(await tokens.verify(token, fakeConnection())).toMatchObject({ status: 'invalid' })
  })

  test('that was issued to a certificate works only with that one', async () => {
    const { tokens } = scene()
    const ada = withCertificate('ab')
    const { token, claims } = await tokens.issue({ sub: 'ada' }, Date.now() + HOUR, ada)
    expect(claims.cnf).toEqual({ 'x5t#S256': Buffer.alloc(32, 0xab).toString('base64url') })
    expect(await tokens.verify(token, ada)).toMatchObject({ status: 'valid' })
    expect(await tokens.verify(token, withCertificate('ab'))).toMatchObject({ status: 'valid' })
    for (const thief of [withCertificate('cd'), plain]) {
      const verdict = { status: 'invalid', reason: 'the token was issued to another certificate' }
      expect(await tokens.verify(token, thief)).toEqual(verdict)
      expect(await tokens.verify(token, thief)).toEqual(verdict)
    }
  })

  test('can be looked at by others: bound or not, and for a while after its end, but not once it was revoked', async () => {
    let now = 1_000_000
    const { tokens } = scene({ now: () => now })
    const { token, claims } = await tokens.issue({ sub: 'ada' }, now + 1000, withCertificate('ab'))
    expect(await tokens.inspect(token)).toEqual({ status: 'valid', claims })
    now += 1000 + HOUR
    expect(await tokens.inspect(token)).toMatchObject({ reason: 'the token has expired' })
    expect(await tokens.inspect(token, 2 * HOUR)).toMatchObject({ status: 'valid' })
    await tokens.revoke(claims)
    expect(await tokens.inspect(token, 2 * HOUR)).toMatchObject({ reason: 'the token was revoked' })
    now += 2 * HOUR
    expect(await tokens.inspect(token, 2 * HOUR)).toMatchObject({ status: 'invalid' })
  })

  test('cannot be decided where the store cannot be asked: neither yes nor no', async () => {
    const { keys, store } = scene()
    let away = false
    const shaky = {
      ...{ set: store.set.bind(store), add: store.add.bind(store), delete: store.delete.bind(store) },
      increment: store.increment.bind(store),
      get(key: string) {
        if (away) throw new GatewayError('GW_UNDECIDED', 'away')
        return store.get(key)
      },
    }
    const tokens = new Tokens({
      keys,
      issuer: 'us',
      revocations: new Revocations(shaky),
      cacheEntries: 10,
      expiredWindow: 0,
    })
    const { token } = await tokens.issue({ sub: 'ada' }, Date.now() + HOUR, plain)
    await tokens.verify(token, plain)
    away = true
    expect(() => tokens.verify(token, plain)).toThrow(/GW_UNDECIDED/)
  })
})

describe('what is no token of ours', () => {
  const claims = { sub: 'ada', jti: 'x', iss: 'us' }
  const forge = (header: object, payload: object, key: Parameters<SignJWT['sign']>[0], typ = {}) =>
    new SignJWT({ ...claims, ...payload })
      .setProtectedHeader({ alg: 'ES256', ...header, typ: 'at+jwt', ...typ })
      .setIssuedAt(Math.ceil(Date.now() / 1000))
      .setExpirationTime('1h')
      .sign(key)

  test('is refused, whatever it pretends', async () => {
    const { keys, tokens } = scene()
    await tokens.issue({ sub: 'ada' }, Date.now() + HOUR, plain)
    const { kid, privateKey, publicKey } = keys.current
    const other = derivedKeys({ secret: randomBytes(32), rotation: 24 * HOUR, lifetime: HOUR }).current
    const good = await forge({ kid }, {}, privateKey)
    expect(await tokens.verify(good, plain)).toMatchObject({ status: 'valid' })
    const [head = '', body = '', signature = ''] = good.split('.')
    const none = Buffer.from(JSON.stringify({ alg: 'none', typ: 'at+jwt', kid })).toString('base64url')
    const shared = new TextEncoder().encode(publicKey.export({ type: 'spki', format: 'pem' }) as string)
    const forgeries = {
      'an empty one': '',
      'no JWT': 'gAAAAABnX',
      'another key': await forge({ kid: other.kid }, {}, other.privateKey),
      'another key under our kid': await forge({ kid }, {}, other.privateKey),
      'no kid': await forge({}, {}, privateKey),
      'another kind of token of the same key': await forge({ kid }, {}, privateKey, { typ: 'JWT' }),
      'another issuer': await forge({ kid }, { iss: 'them' }, privateKey),
      'a longer name of the type': await forge({ kid }, {}, privateKey, { typ: 'application/at+jwt' }),
      'an extension that must be understood': await forge({ kid, crit: ['b64'], b64: true }, {}, privateKey),
      'a header in another spelling': await forge({}, {}, privateKey, { kid }),
      'a user who is no text': await forge({ kid }, { sub: ['ada'] }, privateKey),
      'a time that is no number': signed({ ...claims, iat: '0', exp: 9_999_999_999 }, keys.current),
      'an end that is no number': signed({ ...claims, iat: 0, exp: '9999999999' }, keys.current),
      'a certificate that cannot be compared': await forge({ kid }, { cnf: { jkt: 'of a key' } }, privateKey),
      'a later beginning': await forge({ kid }, { nbf: 99999999999 }, privateKey),
      'another spelling of the signature': `${good}=`,
      'a signature with something in between': good.replace(/.(?=.{9}$)/, '$&!'),
      'no id': await forge({ kid }, { jti: undefined }, privateKey),
      'no user': await forge({ kid }, { sub: undefined }, privateKey),
      'no signature': `${head}.${body}.`,
      'the algorithm none': `${none}.${body}.`,
      'the public key as a shared secret': await forge({ kid, alg: 'HS256' }, {}, shared),
      'another body': `${head}.${Buffer.from(JSON.stringify({ ...claims, sub: 'eve' })).toString('base64url')}.${signature}`,
      'a very long one': `${head}.${body}${'A'.repeat(9000)}.${signature}`,
    }
    for (const [name, token] of Object.entries(forgeries)) {
      expect([name, await tokens.verify(token, fakeConnection())]).toMatchObject([name, { status: 'invalid' }])
    }
  })
})

test('remembers as many tokens as it may, and no more', async () => {
  const { tokens, checks } = scene({ cacheEntries: 2 })
  const issued = await Promise.all(
    ['a', 'b', 'c'].map((sub) => tokens.issue({ sub }, Date.now() + HOUR, plain).then(({ token }) => token)),
  )
  for (const token of issued) await tokens.verify(token, plain)
  const counts = issued.toReversed().map((token) => {
    const before = checks.count
    tokens.verify(token, fakeConnection())
    return checks.count - before
  })
  expect(counts).toEqual([0, 0, 1])
})
