import { constants, type KeyObject, verify } from 'node:crypto'
import { type DerElement, DerError, readOid, TAG } from './der.ts'

/** Which keys may have made a signature, and over which digest; null where the algorithm has one of its own. */
interface Algorithm {
  readonly keys: readonly string[]
  readonly digest: string | null
  readonly saltLength?: number
}

const RSA = ['rsa']
const EC = ['ec']

/** By the identifiers of RFC 3279, 4055, 5758, 8410 and of NIST. SHA-1 and MD5 are left out: OpenSSL's security level refuses them for certificates. */
const ALGORITHMS: Readonly<Record<string, Algorithm>> = {
  '1.2.840.113549.1.1.14': { keys: RSA, digest: 'sha224' },
  '1.2.840.113549.1.1.11': { keys: RSA, digest: 'sha256' },
  '1.2.840.113549.1.1.12': { keys: RSA, digest: 'sha384' },
  '1.2.840.113549.1.1.13': { keys: RSA, digest: 'sha512' },
  '1.2.840.10045.4.3.1': { keys: EC, digest: 'sha224' },
  '1.2.840.10045.4.3.2': { keys: EC, digest: 'sha256' },
  '1.2.840.10045.4.3.3': { keys: EC, digest: 'sha384' },
  '1.2.840.10045.4.3.4': { keys: EC, digest: 'sha512' },
  '2.16.840.1.101.3.4.3.10': { keys: EC, digest: 'sha3-256' },
  '2.16.840.1.101.3.4.3.11': { keys: EC, digest: 'sha3-384' },
  '2.16.840.1.101.3.4.3.12': { keys: EC, digest: 'sha3-512' },
  '1.3.101.112': { keys: ['ed25519'], digest: null },
  '1.3.101.113': { keys: ['ed448'], digest: null },
}

const WEAK: Readonly<Record<string, string>> = {
  '1.2.840.113549.1.1.4': 'MD5',
  '1.2.840.113549.1.1.5': 'SHA-1',
  '1.2.840.10045.4.1': 'SHA-1',
}

const RSASSA_PSS = '1.2.840.113549.1.1.10'
const DIGESTS: Readonly<Record<string, string>> = {
  '2.16.840.1.101.3.4.2.4': 'sha224',
  '2.16.840.1.101.3.4.2.1': 'sha256',
  '2.16.840.1.101.3.4.2.2': 'sha384',
  '2.16.840.1.101.3.4.2.3': 'sha512',
}

/** Checks signatures of one AlgorithmIdentifier. */
export type SignatureCheck = (signed: Uint8Array, signature: Uint8Array, key: KeyObject) => boolean

/** @throws {DerError} for an algorithm that is not known, or not safe */
export function signatureCheck(identifier: DerElement): SignatureCheck {
  const { keys, digest, saltLength } = algorithmOf(identifier)
  return (signed, signature, key) => {
    if (!keys.includes(key.asymmetricKeyType ?? '')) return false
    const padding = saltLength === undefined ? {} : { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength }
    try {
      return verify(digest, signed, { key, ...padding }, signature)
    } catch {
      // A key that demands another digest, or a signature that is no signature.
      return false
    }
  }
}

function algorithmOf(identifier: DerElement): Algorithm {
  const [id, parameters] = identifier.expect(TAG.SEQUENCE, 'the signature algorithm').children()
  if (id === undefined) throw new DerError('the signature algorithm is empty')
  const oid = readOid(id.expect(TAG.OID, 'the signature algorithm').content)
  if (oid === RSASSA_PSS && parameters) return pssOf(parameters)
  const known = ALGORITHMS[oid]
  if (known) return known
  const weak = WEAK[oid]
  throw new DerError(
    weak === undefined
      ? `it is signed with the algorithm ${oid}, which is not known here`
      : `it is signed with ${weak}, which is not safe any more`,
  )
}

/** RFC 4055 3.1. What is absent there means SHA-1. */
function pssOf(parameters: DerElement): Algorithm {
  const fields = new Map([...parameters.children()].map((field) => [field.tag, [...field.children()][0]]))
  const [hash, generator, salt] = [0xa0, 0xa1, 0xa2].map((tag) => fields.get(tag))
  const [, generatorHash] = generator?.children() ?? []
  const digest = hash && DIGESTS[identifierOf(hash)]
  const mask = generatorHash && DIGESTS[identifierOf(generatorHash)]
  if (digest === undefined || digest !== mask) {
    throw new DerError('it is signed with RSASSA-PSS over SHA-1 or two different digests, which is not supported')
  }
  return { keys: ['rsa', 'rsa-pss'], digest, saltLength: salt ? Number(`0x${salt.content.toString('hex')}`) : 20 }
}

function identifierOf(algorithm: DerElement): string {
  const [id] = algorithm.children()
  return id ? readOid(id.content) : ''
}
