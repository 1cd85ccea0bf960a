import { createPrivateKey, type KeyObject } from 'node:crypto'
import type { CertificateFacts } from './certificate.ts'
import { CertificateError } from './certificate-error.ts'
import { isDoubtful } from './certificate-use.ts'
import { readCertificates } from './certificates.ts'
import { readElement, readOid } from './der.ts'
import { labelsInstead, type PemBlock, PemError, readPemBlocks } from './pem.ts'

/** Re-exported because most callers meet it here. */
export { CertificateError, type CertificateErrorCode } from './certificate-error.ts'

/** A certificate chain and the private key of its first certificate. The key shows in no log, JSON or `inspect` output. */
export class KeyPair {
  /** Leaf first. */
  readonly certificates: readonly CertificateFacts[]
  /** SHA-256 of the leaf, lower-case hex. */
  readonly fingerprint: string
  /** The fingerprints of all certificates, leaf first: the identity of what a peer is shown, since the key follows from the leaf. */
  readonly chainFingerprint: string
  readonly #key: KeyObject
  #isDoubtful: boolean | undefined

  constructor(certificates: readonly CertificateFacts[], key: KeyObject) {
    this.certificates = certificates
    const fingerprints = certificates.map(({ fingerprintSha256 }) => fingerprintSha256)
    this.fingerprint = fingerprints[0] ?? ''
    this.chainFingerprint = fingerprints.join(' ')
    this.#key = key
  }

  /** The whole chain in PEM, leaf first. Made when it is needed, as the key is: of ten thousand pairs, most wait for their first client. */
  get certificatePem(): string {
    return this.certificates.map((certificate) => certificate.pem).join('')
  }

  /** Whether OpenSSL may refuse to show it. */
  get isDoubtful(): boolean {
    this.#isDoubtful ??= this.certificates.some(isDoubtful)
    return this.#isDoubtful
  }

  /** The key as unencrypted PKCS #8: for node:tls only, never for a file or a log. */
  get keyPem(): string {
    return this.#key.export({ type: 'pkcs8', format: 'pem' }) as string
  }

  get leaf(): CertificateFacts {
    return this.certificates[0] as CertificateFacts
  }

  toJSON(): { subject: string; fingerprint: string; key: '***' } {
    return { subject: this.leaf.subject, fingerprint: this.fingerprint, key: '***' }
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return `KeyPair ${JSON.stringify(this)}`
  }
}

/** What {@link readKeyPair} reads: PEM texts, and the passphrases to try in turn, as nginx's `ssl_password_file`. */
export interface KeyPairSource {
  /** One certificate or more, leaf first. */
  readonly certificate: string
  /** PKCS #8, encrypted PKCS #8, PKCS #1 or SEC 1, or any with legacy `Proc-Type` encryption. */
  readonly key: string
  readonly passphrases?: readonly string[]
}

/**
 * Reads a certificate chain with its key and makes sure that they belong together.
 * @throws {CertificateError} with a sentence that never holds a part of the input
 */
export function readKeyPair({ certificate, key, passphrases = [] }: KeyPairSource): KeyPair {
  const certificates = readCertificates(certificate)
  const privateKey = decrypt(privateKeyBlock(key), passphrases)
  assertMatch(certificates, privateKey)
  return new KeyPair(certificates, privateKey)
}

function assertMatch(certificates: readonly CertificateFacts[], key: KeyObject): void {
  const owner = certificates.findIndex((candidate) => candidate.x509.checkPrivateKey(key))
  if (owner === 0) return
  if (owner === -1) throw new CertificateError('KEY_MISMATCH', 'The private key does not belong to the certificate.')
  throw new CertificateError(
    'KEY_MISMATCH',
    `The private key belongs to certificate ${owner + 1} of the chain; the certificate of the key must stand first, its issuers after it.`,
  )
}

function privateKeyBlock(text: string): PemBlock {
  const blocks = keyBlocks(text)
  const keys = blocks.filter((block) => block.label.endsWith('PRIVATE KEY'))
  const [key] = keys
  if (key === undefined)
    throw new CertificateError('NO_KEY', `There is no PEM block of a private key in it${labelsInstead(blocks)}.`)
  if (key.label.startsWith('OPENSSH'))
    throw new CertificateError(
      'BAD_KEY',
      'The private key is in OpenSSH\'s format; "ssh-keygen -p -m PKCS8 -f FILE" makes PEM of it.',
    )
  if (keys.length > 1) throw new CertificateError('BAD_KEY', `There are ${keys.length} private keys in it; give one.`)
  return key
}

function keyBlocks(text: string): PemBlock[] {
  try {
    return readPemBlocks(text)
  } catch (error) {
    if (!(error instanceof PemError)) throw error
    throw new CertificateError('BAD_KEY', `The private key is not sound PEM: ${error.message}.`)
  }
}

function decrypt(block: PemBlock, passphrases: readonly string[]): KeyObject {
  if (!isEncrypted(block)) {
    const key = tryKey(block.text)
    if (key === undefined) {
      throw new CertificateError('BAD_KEY', 'The private key cannot be read: it is damaged or of an unknown kind.')
    }
    return key
  }
  if (isEncryptedInAnOldWay(block)) {
    throw new CertificateError(
      'BAD_KEY',
      'The private key is encrypted with DES, RC2 or RC4, which OpenSSL no longer decrypts; "openssl pkcs8 -topk8 -in FILE -provider legacy -provider default" encrypts it anew.',
    )
  }
  if (passphrases.length === 0) {
    throw new CertificateError('KEY_ENCRYPTED', 'The private key is encrypted and no passphrase is given.')
  }
  for (const passphrase of passphrases) {
    const key = tryKey(block.text, passphrase)
    if (key !== undefined) return key
  }
  const tried = passphrases.length === 1 ? 'the passphrase' : `any of the ${passphrases.length} passphrases`
  throw new CertificateError('WRONG_PASSPHRASE', `The private key cannot be decrypted with ${tried}.`)
}

function isEncrypted({ label, text }: PemBlock): boolean {
  return label === 'ENCRYPTED PRIVATE KEY' || /^Proc-Type:\s*4,\s*ENCRYPTED/m.test(text)
}

/** Those of OpenSSL's legacy provider (OSSL_PROVIDER-legacy(7)) in PKCS #5 and PKCS #12: RFC 8018 A.3, RFC 7292 C. */
const OLD_SCHEMES = /^1\.2\.840\.113549\.1\.(5\.([1346]|1[01])|12\.1\.[1256])$/

/** OpenSSL cannot be asked: to it, a passphrase that is wrong and an algorithm that it does not have may be the same. */
function isEncryptedInAnOldWay({ der, text }: PemBlock): boolean {
  if (der.length === 0) return /^DEK-Info:\s*(DES-(CBC|CFB|ECB|OFB)|RC[24])/m.test(text)
  try {
    const [algorithm] = readElement(der).children()
    const [scheme] = algorithm?.children() ?? []
    return scheme !== undefined && OLD_SCHEMES.test(readOid(scheme.content))
  } catch {
    return false
  }
}

/** OpenSSL's reason is dropped on purpose: which decoding error a wrong passphrase causes is chance. */
function tryKey(key: string, passphrase?: string): KeyObject | undefined {
  try {
    return createPrivateKey(passphrase === undefined ? { key } : { key, passphrase })
  } catch {
    return undefined
  }
}
