/** Answers of OCSP responders as no honest one gives them (RFC 6960 4.2.1), written with our own few lines of DER. */
import { createHash, createPublicKey, type KeyObject, sign } from 'node:crypto'
import { bitString, explicit, implicit, objectIdentifier, octetString, rawInteger, sequence, tlv } from './der.ts'
import { extension, type Issued } from './pki.ts'

const HOUR = 3_600_000
const SHA1 = sequence(objectIdentifier('1.3.14.3.2.26'), tlv(0x05))
const ECDSA_WITH_SHA256 = '1.2.840.10045.4.3.2'
const NONCE = '1.3.6.1.5.5.7.48.1.2'

export interface OcspAnswer {
  /** Whose certificate it is about, and who issued that. */
  readonly about: Issued
  readonly issuer: Issued
  /** Or in DER. */
  readonly status?: 'good' | 'revoked' | Buffer
  /** In DER, of what it says about the certificate. */
  readonly extensions?: readonly Buffer[]
  /** In hours from now; -1 by default. */
  readonly thisUpdate?: number
  /** In hours from now; 1 by default, `undefined` names none. */
  readonly nextUpdate?: number | undefined
  /** Who signs; the issuer by default. */
  readonly signer?: Issued
  /** Who it says has signed; the signer by default. */
  readonly named?: Issued
  /** What it brings along: the signer's, where that is not the issuer. */
  readonly certificates?: readonly Issued[]
  readonly nonce?: Buffer
  /** The algorithm that it says it is signed with. */
  readonly algorithm?: string
}

export function ocspAnswer(answer: OcspAnswer): Buffer {
  const { issuer, signer = issuer, named = signer, nonce, algorithm = ECDSA_WITH_SHA256 } = answer
  const content = sequence(
    explicit(1, subjectOf(named)),
    generalizedTime(0),
    sequence(singleResponse(answer)),
    ...(nonce ? [explicit(1, sequence(extension(NONCE, octetString(nonce))))] : []),
  )
  const { certificates = signer === issuer ? [] : [signer] } = answer
  const basic = sequence(
    content,
    sequence(objectIdentifier(algorithm)),
    bitString(sign('sha256', content, signer.privateKey)),
    ...(certificates.length > 0 ? [explicit(0, sequence(...certificates.map(({ der }) => der)))] : []),
  )
  const type = objectIdentifier('1.3.6.1.5.5.7.48.1.1')
  return sequence(tlv(0x0a, Buffer.from([0])), explicit(0, sequence(type, octetString(basic))))
}

function singleResponse(answer: OcspAnswer): Buffer {
  const { about, issuer, status = 'good', thisUpdate = -1, extensions = [] } = answer
  const written = { good: implicit(0, Buffer.alloc(0)), revoked: explicit(1, generalizedTime(-24)) }
  const nextUpdate = 'nextUpdate' in answer ? answer.nextUpdate : 1
  const id = sequence(
    SHA1,
    octetString(sha1(subjectOf(issuer))),
    octetString(sha1(keyBits(issuer.privateKey))),
    rawInteger(about.serial),
  )
  return sequence(
    id,
    typeof status === 'string' ? written[status] : status,
    generalizedTime(thisUpdate),
    ...(nextUpdate === undefined ? [] : [explicit(0, generalizedTime(nextUpdate))]),
    ...(extensions.length === 0 ? [] : [explicit(1, sequence(...extensions))]),
  )
}

/** The Name, found behind serial, algorithm, issuer and validity. */
function subjectOf({ der }: Issued): Buffer {
  const [body] = partsOf(der)
  return partsOf(body as Buffer)[5] as Buffer
}

/** What a SEQUENCE holds. */
function partsOf(der: Buffer): Buffer[] {
  const parts: Buffer[] = []
  for (let at = headOf(der, 0).head; at < der.length; at += parts.at(-1)?.length ?? 1) {
    const { head, length } = headOf(der, at)
    parts.push(der.subarray(at, at + head + length))
  }
  return parts
}

function headOf(der: Buffer, at: number): { readonly head: number; readonly length: number } {
  const first = der[at + 1] as number
  if (first < 0x80) return { head: 2, length: first }
  const count = first & 0x7f
  return { head: 2 + count, length: der.readUIntBE(at + 2, count) }
}

function keyBits(key: KeyObject): Buffer {
  const [, bits] = partsOf(createPublicKey(key).export({ type: 'spki', format: 'der' }))
  return (bits as Buffer).subarray(headOf(bits as Buffer, 0).head + 1)
}

function generalizedTime(hoursFromNow: number): Buffer {
  const text = new Date(Date.now() + hoursFromNow * HOUR).toISOString().replace(/[-:T]|\.\d+/g, '')
  return tlv(0x18, Buffer.from(text, 'latin1'))
}

function sha1(bytes: Buffer): Buffer {
  return createHash('sha1').update(bytes).digest()
}
