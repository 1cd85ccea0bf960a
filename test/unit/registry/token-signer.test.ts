// The tokens are checked by others: jose, and openssl for the signature and the chain.
import { createHash } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import { decodeProtectedHeader, importX509, jwtVerify } from 'jose'
import { createTokenSigner, type TokenSigner } from '../../../src/registry/token-signer.ts'
import { readKeyPair } from '../../../src/tls-cert-utils/key-pair.ts'
import { run } from '../../support/children.ts'
import { temporaryFile } from '../../support/folder.ts'
import { type Authority, authority, type Issued } from '../../support/pki.ts'

const now = Math.floor(Date.now() / 1000)
const claims = {
  subject: 'ada',
  audience: 'registry.test',
  access: [{ type: 'repository', name: 'team/app', actions: ['pull'] }],
  issuedAt: now,
  expiresAt: now + 300,
}
const pairOf = ({ chain, key }: Issued) => readKeyPair({ certificate: chain, key })
const signerOf = (...issued: readonly Issued[]): TokenSigner =>
  createTokenSigner({ issuer: 'acme', pairs: issued.map(pairOf), keyIdForm: 'libtrust' })

describe.each([
  ['ES256', 'ec'],
  ['RS256', 'rsa'],
] as const)('%s', (alg, keyType) => {
  const root = authority('root')
  const intermediate: Authority = root.authority('intermediate')
  const issued = intermediate.client('signer', { keyType })
  const token = signerOf(issued).sign(claims)
  const header = decodeProtectedHeader(token)

  test('jose accepts it by the first certificate of x5c, with the claims of a registry token', async () => {
    const [first = ''] = header.x5c ?? []
    const key = await importX509(`-----BEGIN CERTIFICATE-----\n${first}\n-----END CERTIFICATE-----`, alg)
    const { payload, protectedHeader } = await jwtVerify(token, key, { issuer: 'acme', audience: 'registry.test' })
    expect(protectedHeader).toMatchObject({ typ: 'JWT', alg })
    // Registry 2.x refuses a list as audience, and numbers with fractions.
    expect(payload).toEqual({
      iss: 'acme',
      sub: 'ada',
      aud: 'registry.test',
      iat: now,
      nbf: now,
      exp: now + 300,
      jti: expect.stringMatching(/^[0-9a-f-]{36}$/),
      access: claims.access,
    })
  })

  test('jose accepts it by the published key with its kid', async () => {
    const { keys } = signerOf(issued).jwks() as { keys: { kid: string; alg: string }[] }
    expect(keys).toMatchObject([{ kid: header.kid, alg, use: 'sig' }])
    expect(keys[0]).not.toHaveProperty('d')
    await expect(jwtVerify(token, keys[0] as never)).resolves.toBeDefined()
  })

  test('openssl verifies the chain of x5c up to the root, and the kid is the fingerprint of the key', async () => {
    const [leaf = '', ...others] = (header.x5c ?? []).map(
      (der) => `-----BEGIN CERTIFICATE-----\n${der.replace(/.{64}/g, '$&\n')}\n-----END CERTIFICATE-----\n`,
    )
    const untrusted = ['-untrusted', temporaryFile('chain.pem', others.join(''))]
    const root_ = ['-CAfile', temporaryFile('root.pem', root.certificate)]
    const leafFile = temporaryFile('leaf.pem', leaf)
    expect((await run('openssl', ['verify', ...root_, ...untrusted, leafFile])).stdout).toContain(': OK')
    const spki = await run('sh', [
      '-c',
      'openssl x509 -in "$1" -noout -pubkey | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | head -c 30 | base32',
      'sh',
      leafFile,
    ])
    expect(header.kid?.replaceAll(':', '')).toBe(spki.stdout.trim())
  })

  test('openssl verifies the signature', async () => {
    const [head, payload, signature = ''] = token.split('.')
    const bytes = Buffer.from(signature, 'base64url')
    const der = keyType === 'ec' ? derSignature(bytes) : bytes
    const key = temporaryFile('key.pem', issued.x509.publicKey.export({ type: 'spki', format: 'pem' }) as string)
    const files = ['-signature', temporaryFile('signature', der), temporaryFile('input', `${head}.${payload}`)]
    expect((await run('openssl', ['dgst', '-sha256', '-verify', key, ...files])).stdout).toBe('Verified OK\n')
  })
})

/** ECDSA's r and s as OpenSSL wants them: two INTEGERs in a SEQUENCE. */
function derSignature(raw: Buffer): Buffer {
  const integers = [raw.subarray(0, 32), raw.subarray(32)].map((part) => {
    const content = Buffer.concat([Buffer.from([0]), part])
    const first = content.findIndex((byte, i) => byte !== 0 || (content[i + 1] ?? 0x80) >= 0x80)
    const short = content.subarray(first)
    return Buffer.concat([Buffer.from([2, short.length]), short])
  })
  const body = Buffer.concat(integers)
  return Buffer.concat([Buffer.from([0x30, body.length]), body])
}

describe('what a gate believes', () => {
  const issued = authority('one').client('signer')
  const signer = signerOf(issued)

  test('its own token, and the one of the key before', () => {
    const next = authority('two').client('signer')
    const token = signer.sign(claims)
    expect(signer.verify(token, Date.now())).toMatchObject({ subject: 'ada', access: claims.access })
    expect(signerOf(next, issued).verify(token, Date.now())).toMatchObject({ subject: 'ada' })
    expect(signerOf(next).verify(token, Date.now())).toBeUndefined()
  })

  test('no token that is changed, of another issuer, or without signature', () => {
    const token = signer.sign(claims)
    const [head = '', payload = '', signature = ''] = token.split('.')
    const other = (changes: object) =>
      Buffer.from(JSON.stringify({ ...JSON.parse(Buffer.from(payload, 'base64url').toString()), ...changes })).toString(
        'base64url',
      )
    const none = Buffer.from(JSON.stringify({ alg: 'none', typ: 'JWT' })).toString('base64url')
    const foreign = createTokenSigner({ issuer: 'other', pairs: [pairOf(issued)], keyIdForm: 'libtrust' })
    const bad = [
      `${head}.${other({ sub: 'eve' })}.${signature}`,
      `${none}.${payload}.`,
      `${none}.${payload}.${signature}`,
      `${head}.${payload}`,
      `${head}.${payload}.`,
      `${token}.more`,
      foreign.sign(claims),
      '',
      '..',
    ]
    for (const each of bad) expect([each, signer.verify(each, Date.now())]).toEqual([each, undefined])
  })

  test('nor one that has expired, which is told apart', () => {
    expect(signer.verify(signer.sign({ ...claims, expiresAt: now - 1 }), Date.now())).toBe('expired')
  })

  test('a token signed by a key that its own header brings is no token', () => {
    const eve = createTokenSigner({
      issuer: 'acme',
      pairs: [pairOf(authority('eve').client('eve'))],
      keyIdForm: 'libtrust',
    })
    const [head = '', payload = '', signature = ''] = eve.sign(claims).split('.')
    const ours = decodeProtectedHeader(signer.sign(claims))
    const theirs = { ...decodeProtectedHeader(`${head}.${payload}.${signature}`), kid: ours.kid }
    const forged = Buffer.from(JSON.stringify(theirs)).toString('base64url')
    expect(signer.verify(`${forged}.${payload}.${signature}`, Date.now())).toBeUndefined()
  })
})

test('two tokens are never the same', () => {
  const signer = signerOf(authority('one').client('signer'))
  const digest = (token: string) => createHash('sha256').update(token).digest('hex')
  expect(digest(signer.sign(claims))).not.toBe(digest(signer.sign(claims)))
})
