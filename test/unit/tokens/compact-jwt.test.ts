import { generateKeyPairSync } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import { compactVerify, jwtVerify, SignJWT } from 'jose'
import { readSigned, signed } from '../../../src/tokens/compact-jwt.ts'
import { type SigningKey, signingKey } from '../../../src/tokens/signing-keys.ts'
import fc from '../../support/random.ts'

const KEYS: Readonly<Record<string, SigningKey>> = {
  ES256: signingKey(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey),
  ES384: signingKey(generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey),
  ES512: signingKey(generateKeyPairSync('ec', { namedCurve: 'P-521' }).privateKey),
  EdDSA: signingKey(generateKeyPairSync('ed25519').privateKey),
  RS256: signingKey(generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey),
}
const readBy = (key: SigningKey) => (token: string) =>
  readSigned(token, (header) => (header === key.header ? key : undefined))
const CLAIMS = { sub: 'ada', jti: 'x', exp: 9_999_999_999, ünicode: '\u0000\ud83d\ude00' }

describe.each(Object.entries(KEYS))('%s', (alg, key) => {
  const read = readBy(key)

  test('what we sign jose accepts, and what jose signs with the same header we do', async () => {
    const ours = signed(CLAIMS, key)
    const options = { typ: 'at+jwt', algorithms: [alg] }
    expect((await jwtVerify(ours, key.publicKey, options)).payload).toEqual(CLAIMS)
    const header = { alg, kid: key.kid, typ: 'at+jwt' }
    const theirs = await new SignJWT(CLAIMS).setProtectedHeader(header).sign(key.privateKey)
    expect([read(ours), read(theirs)]).toEqual([CLAIMS, CLAIMS])
  })

  test('a signature of another length, of zeros or of nothing is none', () => {
    const [text, signature] = cut(signed(CLAIMS, key))
    const size = Buffer.from(signature, 'base64url').length
    for (const bytes of [Buffer.alloc(size), Buffer.alloc(0), Buffer.alloc(size - 1, 1), Buffer.alloc(size + 1, 1)])
      expect(read(`${text}.${bytes.toString('base64url')}`)).toBeUndefined()
  })
})

describe('beside jose', () => {
  const key = KEYS.ES256 as SigningKey
  const read = readBy(key)
  const acceptedByJose = (token: string) =>
    compactVerify(token, key.publicKey, { algorithms: ['ES256'] }).then(
      () => true,
      () => false,
    )

  test('whatever is done to a token, nothing is accepted that jose refuses', async () => {
    const base = signed(CLAIMS, key)
    const change = fc.record({
      at: fc.nat(base.length),
      cut: fc.nat(3),
      put: fc.string({
        unit: fc.constantFrom('A', 'z', '0', '_', '-', '.', '=', '+', '/', ' ', '\n', 'é'),
        maxLength: 3,
      }),
    })
    let refused = 0
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 0, maxLength: 2 }), async (changes) => {
        const token = changes.reduce((text, { at, cut, put }) => text.slice(0, at) + put + text.slice(at + cut), base)
        const ours = read(token) !== undefined
        if (!ours) refused += 1
        expect(ours).toBe(token === base)
        if (ours) expect(await acceptedByJose(token)).toBe(true)
      }),
      { numRuns: 500 },
    )
    expect(refused).toBeGreaterThan(100)
  })

  test('any claims come back as they were', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (claims) => {
        expect(read(signed(claims, key))).toEqual(JSON.parse(JSON.stringify(claims)))
      }),
      { numRuns: 200 },
    )
  })
})

function cut(token: string): [string, string] {
  const at = token.lastIndexOf('.')
  return [token.slice(0, at), token.slice(at + 1)]
}
