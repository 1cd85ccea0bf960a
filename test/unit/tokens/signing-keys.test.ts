import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import { calculateJwkThumbprint, jwtVerify, SignJWT } from 'jose'
import { derivedKeys, givenKeys, signingKey } from '../../../src/tokens/signing-keys.ts'

const HOUR = 3_600_000

describe('keys derived from a secret', () => {
  const secret = randomBytes(32)
  const options = { secret, rotation: 24 * HOUR, lifetime: HOUR }
  const at = (now: number) => derivedKeys({ ...options, now: () => now })

  test('are the same in every process with the same secret, and others with another', () => {
    expect(at(0).current.kid).toBe(at(HOUR).current.kid)
    expect(derivedKeys({ ...options, secret: randomBytes(32), now: () => 0 }).current.kid).not.toBe(at(0).current.kid)
  })

  test('are the same in every version, so that gateways that share a secret can be renewed one by one', () => {
    const { kid } = derivedKeys({ ...options, secret: Buffer.alloc(32, 7), now: () => 0 }).current
    expect(kid).toBe('H7wbTQnu2HzKQVQIYBRhjRh7FXT6BgUcfKWxlqmWD9g')
  })

  test('change with each period, and verify until the last token has expired', () => {
    let now = 30 * 24 * HOUR + 12 * HOUR
    const keys = derivedKeys({ ...options, now: () => now })
    const before = keys.current
    now += 12 * HOUR
    expect(keys.current.kid).not.toBe(before.kid)
    expect(keys.find(before.header)?.kid).toBe(before.kid)
    now += HOUR + 61_000
    expect(keys.find(before.header)).toBeUndefined()
    expect(keys.published.map(({ kid }) => kid)).not.toContain(before.kid)
  })

  test('are published before they sign', () => {
    const published = at(0).published.map(({ kid }) => kid)
    expect(published).toContain(at(24 * HOUR).current.kid)
    expect(published).toHaveLength(3)
  })

  test('sign ES256 that jose verifies with the published part, which holds nothing private', async () => {
    const { current } = at(0)
    const token = await new SignJWT({ sub: 'ada' }).setProtectedHeader({ alg: current.alg }).sign(current.privateKey)
    expect(current.jwk).toEqual({
      ...{ kty: 'EC', crv: 'P-256', alg: 'ES256', use: 'sig', kid: await calculateJwkThumbprint(current.jwk) },
      ...{ x: expect.any(String), y: expect.any(String) },
    })
    expect((await jwtVerify(token, current.jwk)).payload.sub).toBe('ada')
  })
})

describe('keys that are given', () => {
  const elliptic = (namedCurve: string) => signingKey(generateKeyPairSync('ec', { namedCurve }).privateKey)
  const madeRsa = (modulusLength: number) => signingKey(generateKeyPairSync('rsa', { modulusLength }).privateKey)

  test('sign with the first, verify with all, in the algorithm that belongs to them', () => {
    const ec = elliptic('P-384')
    const rsa = madeRsa(2048)
    const ed = signingKey(generateKeyPairSync('ed25519').privateKey)
    const keys = givenKeys([rsa, ec, ed])
    expect(keys.current.kid).toBe(rsa.kid)
    expect(keys.published.map(({ alg }) => alg)).toEqual(['RS256', 'ES384', 'EdDSA'])
    expect(keys.find(ed.header)).toBe(ed)
    expect(keys.find('other')).toBeUndefined()
  })

  test('of a kind that is too weak, or cannot sign, are refused', () => {
    expect(() => madeRsa(1024)).toThrow('expected EC (P-256')
    expect(() => signingKey(generateKeyPairSync('x25519').privateKey)).toThrow('expected EC (P-256')
    expect(() => elliptic('secp256k1')).toThrow('expected EC (P-256')
  })

  test('have the thumbprint of RFC 7638 as kid', async () => {
    const rsa = madeRsa(2048)
    expect(rsa.kid).toBe(await calculateJwkThumbprint(rsa.jwk))
  })
})
