import { createPrivateKey } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import { inspect } from 'node:util'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { type Authority, createAuthority, type Issued } from '../../../src/tls-cert-utils/development-pki.ts'
import { CertificateError, type KeyPairSource, readKeyPair } from '../../../src/tls-cert-utils/key-pair.ts'
import { openssl } from './openssl.ts'

let authority: Authority
let ec: Issued
let rsa: Issued
let ed25519: Issued

beforeAll(async () => {
  authority = await createAuthority()
  ec = await authority.issue({ subject: 'ec' })
  rsa = await authority.issue({ subject: 'rsa', keyAlgorithm: 'rsa' })
  ed25519 = await authority.issue({ subject: 'ed25519', keyAlgorithm: 'ed25519' })
})

function codeOf(source: KeyPairSource): string {
  try {
    readKeyPair(source)
    return 'accepted'
  } catch (error) {
    if (!(error instanceof CertificateError)) throw error
    const bodies = `${source.certificate}\n${source.key}`
      .split('\n')
      .filter((line) => line.length > 20 && !line.startsWith('-'))
    for (const secret of [...bodies, ...(source.passphrases ?? [])]) expect(inspect(error)).not.toContain(secret)
    return error.code
  }
}

describe('readKeyPair', () => {
  test.each([
    ['EC in PKCS #8', () => [ec, ec.keyPem]],
    ['EC in SEC 1', () => [ec, openssl(['ec'], ec.keyPem)]],
    [
      'EC in SEC 1 with its parameters before it',
      () => [ec, openssl(['ecparam', '-name', 'prime256v1']) + openssl(['ec'], ec.keyPem)],
    ],
    ['RSA in PKCS #8', () => [rsa, rsa.keyPem]],
    ['RSA in PKCS #1', () => [rsa, openssl(['rsa', '-traditional'], rsa.keyPem)]],
    ['Ed25519', () => [ed25519, ed25519.keyPem]],
    ['a file with certificate and key', () => [ec, ec.pem + ec.keyPem]],
    ['CRLF line ends', () => [ec, ec.keyPem.replaceAll('\n', '\r\n')]],
  ] as [string, () => [Issued, string]][])('reads %s', (_, make) => {
    const [issued, key] = make()
    const pair = readKeyPair({ certificate: issued.pem, key })
    expect(pair.keyPem).toBe(issued.keyPem)
    expect(pair.fingerprint).toBe(issued.fingerprint)
    createSecureContext({ cert: pair.certificatePem, key: pair.keyPem })
  })

  test.each([
    [
      'PKCS #8 that Node encrypted',
      () => {
        const encryption = { cipher: 'aes-256-cbc', passphrase: 'right' }
        return createPrivateKey(ec.keyPem)
          .export({ type: 'pkcs8', format: 'pem', ...encryption })
          .toString()
      },
    ],
    [
      'PKCS #8 that openssl encrypted',
      () => openssl(['pkcs8', '-topk8', '-v2', 'aes128', '-passout', 'pass:right'], ec.keyPem),
    ],
    ['legacy encrypted SEC 1', () => openssl(['ec', '-aes256', '-passout', 'pass:right'], ec.keyPem)],
  ])('reads %s with the passphrase that fits, of several', (_, make) => {
    const key = make()
    expect(readKeyPair({ certificate: ec.pem, key, passphrases: ['wrong', '', 'right', 'other'] }).keyPem).toBe(
      ec.keyPem,
    )
    expect(codeOf({ certificate: ec.pem, key })).toBe('KEY_ENCRYPTED')
    expect(codeOf({ certificate: ec.pem, key, passphrases: [] })).toBe('KEY_ENCRYPTED')
    expect(codeOf({ certificate: ec.pem, key, passphrases: ['wrong-passphrase'] })).toBe('WRONG_PASSPHRASE')
    expect(codeOf({ certificate: ec.pem, key, passphrases: ['x'.repeat(5000)] })).toBe('WRONG_PASSPHRASE')
  })

  test.each([
    ['PKCS #8 with DES, as of OpenSSL 1.0', ['pkcs8', '-topk8', '-v1', 'PBE-MD5-DES']],
    ['PKCS #8 with RC4', ['pkcs8', '-topk8', '-v1', 'PBE-SHA1-RC4-128']],
    ['PKCS #1 with DES', ['rsa', '-traditional', '-des']],
  ])('tells of what no passphrase decrypts any more: %s', (_form, command) => {
    const legacy = ['-provider', 'legacy', '-provider', 'default']
    const key = openssl([...command, '-passout', 'pass:1234', ...legacy], rsa.keyPem)
    const read = () => readKeyPair({ certificate: rsa.pem, key, passphrases: ['1234'] })
    expect(read).toThrow(/encrypted with DES, RC2 or RC4, which OpenSSL no longer decrypts; "openssl pkcs8 -topk8/)
    expect(() => readKeyPair({ certificate: rsa.pem, key })).toThrow(/no longer decrypts/)
  })

  test('reads legacy encrypted PKCS #1', () => {
    const key = openssl(['rsa', '-traditional', '-des3', '-passout', 'pass:right'], rsa.keyPem)
    expect(key).toContain('Proc-Type')
    expect(readKeyPair({ certificate: rsa.pem, key, passphrases: ['right'] }).keyPem).toBe(rsa.keyPem)
  })

  test('keeps the whole chain, leaf first', async () => {
    const intermediate = await authority.intermediate()
    const leaf = await intermediate.issue({ subject: 'ada' })
    const pair = readKeyPair({ certificate: leaf.chainPem, key: leaf.keyPem })
    expect(pair.certificates.map(({ subject }) => subject)).toEqual(['CN=ada', 'CN=Intermediate CA'])
    expect(pair.certificatePem).toBe(leaf.pem + intermediate.pem)
    expect(pair.leaf.subject).toBe('CN=ada')
  })

  test('says what stands there in place of what was looked for, as of swapped files', () => {
    const openssh = ec.keyPem.replaceAll('PRIVATE KEY', 'OPENSSH PRIVATE KEY')
    expect(() => readKeyPair({ certificate: ec.keyPem, key: ec.pem })).toThrow(
      /certificate in it, only (EC )?PRIVATE KEY: certificate and key may be given the wrong way round\.$/,
    )
    expect(() => readKeyPair({ certificate: ec.pem, key: ec.pem })).toThrow(
      'private key in it, only CERTIFICATE: certificate and key may be given the wrong way round.',
    )
    const labelled = (label: string) => ec.pem.replaceAll(' CERTIFICATE', ` ${label}`)
    expect(() => readKeyPair({ certificate: labelled('CERTIFICATE REQUEST'), key: ec.keyPem })).toThrow(
      'only CERTIFICATE REQUEST: a request, which an authority must sign first.',
    )
    expect(() => readKeyPair({ certificate: labelled('PKCS7'), key: ec.keyPem })).toThrow(
      'only PKCS7; make PEM of the certificates with: openssl pkcs7 -print_certs -in FILE.',
    )
    const flat = ec.keyPem.replaceAll('\n', ' ')
    expect(() => readKeyPair({ certificate: ec.pem, key: flat })).toThrow(
      'the line breaks of line 1 are lost; write \\n for each',
    )
    expect(() => readKeyPair({ certificate: ec.pem, key: openssh })).toThrow('ssh-keygen -p -m PKCS8')
  })

  test.each([
    ['no certificate', () => ({ certificate: '', key: ec.keyPem }), 'NO_CERTIFICATE'],
    ['a key where the certificate should be', () => ({ certificate: ec.keyPem, key: ec.keyPem }), 'NO_CERTIFICATE'],
    ['a cut-off certificate', () => ({ certificate: ec.pem.slice(0, 200), key: ec.keyPem }), 'BAD_CERTIFICATE'],
    [
      'a damaged certificate',
      () => ({
        certificate: ec.pem.replace('MII', 'AII').replace('MIH', 'AIH').replace(/\nMI/, '\nAI'),
        key: ec.keyPem,
      }),
      'BAD_CERTIFICATE',
    ],
    [
      'a damaged intermediate',
      () => ({ certificate: ec.pem + ec.pem.replace(/\nMI/, '\nAI'), key: ec.keyPem }),
      'BAD_CERTIFICATE',
    ],
    ['no key', () => ({ certificate: ec.pem, key: '' }), 'NO_KEY'],
    ['a certificate where the key should be', () => ({ certificate: ec.pem, key: ec.pem }), 'NO_KEY'],
    ['a public key', () => ({ certificate: ec.pem, key: openssl(['pkey', '-pubout'], ec.keyPem) }), 'NO_KEY'],
    ['a cut-off key', () => ({ certificate: ec.pem, key: ec.keyPem.slice(0, 100) }), 'BAD_KEY'],
    ['a damaged key', () => ({ certificate: ec.pem, key: ec.keyPem.replace('MIG', 'AIG') }), 'BAD_KEY'],
    ['two keys', () => ({ certificate: ec.pem, key: ec.keyPem + rsa.keyPem }), 'BAD_KEY'],
    ['a key of another certificate', () => ({ certificate: ec.pem, key: authority.keyPem }), 'KEY_MISMATCH'],
    ['a key of another algorithm', () => ({ certificate: ec.pem, key: rsa.keyPem }), 'KEY_MISMATCH'],
    ['an Ed25519 key for an EC certificate', () => ({ certificate: ec.pem, key: ed25519.keyPem }), 'KEY_MISMATCH'],
    ['a chain in the wrong order', () => ({ certificate: authority.pem + ec.pem, key: ec.keyPem }), 'KEY_MISMATCH'],
  ] as [string, () => KeyPairSource, string][])('refuses %s, without repeating it', (_, make, code) => {
    expect(codeOf(make())).toBe(code)
  })

  test('says that a key belongs to no certificate of the chain', () => {
    expect(() => readKeyPair({ certificate: ec.pem + authority.pem, key: rsa.keyPem })).toThrow(
      'The private key does not belong to the certificate.',
    )
  })

  test('says which certificate of a chain in the wrong order the key belongs to', () => {
    expect(() => readKeyPair({ certificate: authority.pem + ec.pem, key: ec.keyPem })).toThrow(
      /certificate 2 of the chain/,
    )
  })

  test('shows the key in no log', () => {
    const pair = readKeyPair({ certificate: ec.pem, key: ec.keyPem })
    const body = ec.keyPem.split('\n')[1] as string
    for (const shown of [
      inspect(pair, { showHidden: true, depth: 9 }),
      JSON.stringify(pair),
      `${pair}`,
      JSON.stringify({ ...pair }),
    ]) {
      expect(shown).not.toContain(body)
    }
    expect(JSON.parse(JSON.stringify(pair))).toEqual({ subject: 'CN=ec', fingerprint: ec.fingerprint, key: '***' })
    expect(createPrivateKey(pair.keyPem).asymmetricKeyType).toBe('ec')
  })
})
