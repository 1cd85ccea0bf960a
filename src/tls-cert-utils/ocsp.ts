/** The Online Certificate Status Protocol (RFC 6960): writes the request for one certificate, and checks the response. */
import { createHash, X509Certificate } from 'node:crypto'
import { type CertificateFacts, readCertificate } from './certificate.ts'
import { type DerElement, DerError, readElement, readOid, readWhole, TAG } from './der.ts'
import { element, integerOf, octetString, oid, sequence } from './der-writer.ts'
import {
  AUTHORITY_INFORMATION_ACCESS,
  EXTENDED_KEY_USAGE,
  readExtendedKeyUsage,
  readExtensionList,
  readExtensions,
} from './extensions.ts'
import { signatureCheck } from './signature.ts'
import { readTime } from './time.ts'

export type OcspStatus = 'good' | 'revoked' | 'unknown'

/** A signed answer about one certificate that was checked. */
export interface OcspFinding {
  readonly status: OcspStatus
  /** Milliseconds since the epoch: when it was known to be true. */
  readonly since: number
  /** Likewise: the next update or, where the responder names none, an hour after the answer was true. */
  readonly until: number
}

/** An answer that cannot be believed; the message says why, for the log. */
export class OcspError extends Error {}

/** How long an answer without a next update is valid, in milliseconds: nginx's hour. */
const LIFE_WITHOUT_TIME = 3_600_000

const SHA1 = '1.3.14.3.2.26'
const OCSP = '1.3.6.1.5.5.7.48.1'
const BASIC = '1.3.6.1.5.5.7.48.1.1'
const NONCE = '1.3.6.1.5.5.7.48.1.2'
const NO_CHECK = '1.3.6.1.5.5.7.48.1.5'
const OCSP_SIGNING = '1.3.6.1.5.5.7.3.9'
const NULL = element(0x05)
const STATUSES: readonly OcspStatus[] = ['good', 'revoked', 'unknown']
/** RFC 6960 4.2.1. */
const REFUSALS: Readonly<Record<number, string>> = {
  1: 'malformedRequest',
  2: 'internalError',
  3: 'tryLater',
  5: 'sigRequired',
  6: 'unauthorized',
}

/** The first OCSP responder that a certificate names, as nginx takes it: `http:` only. Undefined where it names none. */
export function responderOf(certificate: CertificateFacts): string | undefined {
  const access = readExtensions(certificate.raw).find((extension) => extension.oid === AUTHORITY_INFORMATION_ACCESS)
  if (!access) return undefined
  for (const description of readWhole(access.value).children()) {
    const [method, location] = description.children()
    if (!method || location?.tag !== 0x86 || readOid(method.content) !== OCSP) continue
    const url = location.content.toString('latin1')
    if (url.startsWith('http://') && URL.canParse(url)) return url
  }
  return undefined
}

/**
 * An OCSPRequest in DER about one certificate. It identifies names and keys by SHA-1, which every responder supports. Nothing rests on that, since
 * the answer is signed.
 */
export function ocspRequest(certificate: CertificateFacts, issuer: CertificateFacts, nonce?: Buffer): Buffer {
  const request = sequence(certificateId(certificate, issuer))
  if (!nonce) return sequence(sequence(sequence(request)))
  const extension = sequence(oid(NONCE), octetString(octetString(nonce)))
  return sequence(sequence(sequence(request), element(0xa2, sequence(extension))))
}

/**
 * Checks an answer and finds the certificate in it. It must be signed by the issuer, or by somebody whom the issuer certified for just that; be about
 * this certificate; be current; and have our nonce where it has one.
 * @param skew how many milliseconds clocks may differ
 * @throws OcspError
 */
export function readOcspResponse(
  der: Uint8Array,
  asked: { certificate: CertificateFacts; issuer: CertificateFacts; nonce?: Buffer | undefined },
  now: number,
  skew: number,
): OcspFinding {
  try {
    const basic = basicResponseIn(der)
    if (!isSigned(basic, asked.issuer, now))
      throw new OcspError(
        'the answer is not signed by the issuer or by its responder, whose certificate must be valid now and for OCSPSigning',
      )
    checkExtensions(basic.extensions, asked.nonce)
    return findingOf(basic, asked, now, skew)
  } catch (error) {
    if (error instanceof DerError) throw new OcspError(`the answer is damaged: ${error.message}`)
    throw error
  }
}

interface BasicResponse {
  readonly signed: DerElement
  readonly responder: DerElement
  readonly responses: DerElement
  readonly extensions: DerElement | undefined
  readonly algorithm: DerElement
  readonly signature: Buffer
  readonly certificates: readonly Buffer[]
}

function basicResponseIn(der: Uint8Array): BasicResponse {
  const [status, bytes] = readWhole(der).expect(TAG.SEQUENCE, 'the answer').children()
  const code = status?.content[0] ?? 0
  if (code !== 0) throw new OcspError(`the responder refuses: ${REFUSALS[code] ?? code}`)
  const [body] = bytes?.children() ?? []
  const [type, response] = body?.children() ?? []
  if (!type || !response || readOid(type.content) !== BASIC) throw new OcspError('the answer is of no known type')
  const [signed, algorithm, signature, certificates] = readWhole(response.content).children()
  if (!signed || !algorithm || !signature) throw new DerError('a part is missing')
  const fields = [...signed.expect(TAG.SEQUENCE, 'the content').children()]
  if (fields[0]?.tag === 0xa0) fields.shift() // the version
  const [responder, , responses, extensions] = fields
  if (!responder || !responses) throw new DerError('a part of the content is missing')
  const [list] = certificates?.children() ?? []
  return {
    signed,
    responder,
    responses: responses.expect(TAG.SEQUENCE, 'the list of answers'),
    extensions: extensions?.tag === 0xa1 ? [...extensions.children()][0] : undefined,
    algorithm,
    signature: signature.expect(TAG.BIT_STRING, 'the signature').content.subarray(1),
    certificates: list ? [...list.children()].slice(0, MOST_CERTIFICATES).map(({ raw }) => raw) : [],
  }
}

const MOST_CERTIFICATES = 8

/**
 * RFC 6960 4.2.2.2: the signer is the issuer itself, or was certified by it with OCSPSigning for its own answers. A certificate that merely comes
 * with the answer is not enough.
 */
function isSigned(basic: BasicResponse, issuer: CertificateFacts, now: number): boolean {
  const { algorithm, signed, signature } = basic
  const check = signatureCheck(algorithm)
  if (names(basic.responder, issuer) && check(signed.raw, signature, issuer.x509.publicKey)) return true
  return basic.certificates.some((der) => {
    const responder = readCertificate(der)
    if (!names(basic.responder, responder) || !mayAnswer(responder, issuer, now)) return false
    return check(signed.raw, signature, responder.x509.publicKey)
  })
}

/** byName [1], or byKey [2] with the SHA-1 of the key's bits. */
function names(responder: DerElement, certificate: CertificateFacts): boolean {
  const [content] = responder.children()
  if (responder.tag === 0xa1) return content?.raw.equals(certificate.rawSubject) === true
  return responder.tag === 0xa2 && content?.content.equals(sha1(keyBits(certificate))) === true
}

function mayAnswer(responder: CertificateFacts, issuer: CertificateFacts, now: number): boolean {
  if (!responder.rawIssuer.equals(issuer.rawSubject) || now < responder.notBefore || now > responder.notAfter)
    return false
  const extensions = readExtensions(responder.raw)
  const usage = extensions.find((extension) => extension.oid === EXTENDED_KEY_USAGE)
  if (!usage || !readExtendedKeyUsage(usage.value).includes(OCSP_SIGNING)) return false
  if (extensions.some((extension) => extension.isCritical && !UNDERSTOOD.has(extension.oid))) return false
  return new X509Certificate(responder.raw).verify(issuer.x509.publicKey)
}

/** basicConstraints, keyUsage, extendedKeyUsage, and that nobody need ask about the responder itself. */
const UNDERSTOOD = new Set(['2.5.29.19', '2.5.29.15', EXTENDED_KEY_USAGE, NO_CHECK])

/** A responder may omit the nonce, as those that sign in advance do. A nonce other than ours is a replay. */
function checkExtensions(list: DerElement | undefined, nonce: Buffer | undefined): void {
  for (const extension of list ? readExtensionList(list) : []) {
    if (extension.oid === NONCE) {
      if (nonce && !readWhole(extension.value).content.equals(nonce))
        throw new OcspError('the answer has another nonce than ours')
    } else if (extension.isCritical)
      throw new OcspError(`the answer has an unknown critical extension, ${extension.oid}`)
  }
}

function findingOf(
  basic: BasicResponse,
  { certificate, issuer }: { certificate: CertificateFacts; issuer: CertificateFacts },
  now: number,
  skew: number,
): OcspFinding {
  for (const response of basic.responses.children()) {
    const [id, status, thisUpdate, ...rest] = response.children()
    if (!id || !status || !thisUpdate || !isAbout(id, certificate, issuer)) continue
    const next = [...(rest.find(({ tag }) => tag === 0xa0)?.children() ?? [])][0]
    const extensions = [...(rest.find(({ tag }) => tag === 0xa1)?.children() ?? [])][0]
    checkExtensions(extensions, undefined)
    const since = millisecondsOf(thisUpdate)
    // RFC 6960 3.2 5: an answer without an end must be recent, or an attacker on the way could replay it for ever.
    const until = next ? millisecondsOf(next) : since + LIFE_WITHOUT_TIME
    if (since > now + skew) throw new OcspError('the answer is of the future')
    if (until < now - skew) throw new OcspError('the answer is out of date')
    const known = STATUSES[status.tag & 0x1f]
    if (known === undefined) throw new OcspError('the answer has no known status')
    return { status: known, since, until }
  }
  throw new OcspError('the answer is about another certificate')
}

function millisecondsOf(time: DerElement): number {
  const { milliseconds } = readTime(time)
  if (milliseconds === undefined) throw new DerError('a time cannot be read')
  return milliseconds
}

/** With whichever digest the responder uses for the names: RFC 5019 demands SHA-1, others use SHA-256. */
function isAbout(id: DerElement, certificate: CertificateFacts, issuer: CertificateFacts): boolean {
  const [algorithm, name, key, serial] = id.children()
  const [digestId] = algorithm?.children() ?? []
  const digest = digestId && DIGESTS[readOid(digestId.content)]
  if (!digest || !name || !key || !serial) return false
  return (
    serial.content.equals(certificate.rawSerial) &&
    name.content.equals(hash(digest, issuer.rawSubject)) &&
    key.content.equals(hash(digest, keyBits(issuer)))
  )
}

const DIGESTS: Readonly<Record<string, string>> = {
  [SHA1]: 'sha1',
  '2.16.840.1.101.3.4.2.1': 'sha256',
  '2.16.840.1.101.3.4.2.2': 'sha384',
  '2.16.840.1.101.3.4.2.3': 'sha512',
}

function certificateId(certificate: CertificateFacts, issuer: CertificateFacts): Buffer {
  return sequence(
    sequence(oid(SHA1), NULL),
    octetString(sha1(issuer.rawSubject)),
    octetString(sha1(keyBits(issuer))),
    integerOf(certificate.rawSerial.toString('hex')),
  )
}

/** The subjectPublicKey without its tag, length and count of unused bits. */
function keyBits(certificate: CertificateFacts): Buffer {
  const [, bits] = readElement(certificate.publicKeyInfo).children()
  return (bits as DerElement).content.subarray(1)
}

function sha1(bytes: Uint8Array): Buffer {
  return hash('sha1', bytes)
}

function hash(digest: string, bytes: Uint8Array): Buffer {
  return createHash(digest).update(bytes).digest()
}
