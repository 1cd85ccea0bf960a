import { type DerElement, DerError, readElement, readOid, readWhole, TAG } from './der.ts'

/** One extension of a certificate (RFC 5280 4.2). */
export interface CertificateExtension {
  readonly oid: string
  readonly isCritical: boolean
  /** What the OCTET STRING holds. */
  readonly value: Buffer
}

export const BASIC_CONSTRAINTS = '2.5.29.19'
export const KEY_USAGE = '2.5.29.15'
export const EXTENDED_KEY_USAGE = '2.5.29.37'
export const SUBJECT_ALTERNATIVE_NAME = '2.5.29.17'
export const NAME_CONSTRAINTS = '2.5.29.30'
export const CERTIFICATE_POLICIES = '2.5.29.32'
export const ANY_POLICY = '2.5.29.32.0'
export const INHIBIT_ANY_POLICY = '2.5.29.54'
export const SUBJECT_KEY_IDENTIFIER = '2.5.29.14'
export const AUTHORITY_KEY_IDENTIFIER = '2.5.29.35'
export const CRL_DISTRIBUTION_POINTS = '2.5.29.31'
export const AUTHORITY_INFORMATION_ACCESS = '1.3.6.1.5.5.7.1.1'
export const SERVER_AUTHENTICATION = '1.3.6.1.5.5.7.3.1'
export const CLIENT_AUTHENTICATION = '1.3.6.1.5.5.7.3.2'

/** In the order of their bits (RFC 5280 4.2.1.3). */
const KEY_USAGES = [
  'digitalSignature',
  'nonRepudiation',
  'keyEncipherment',
  'dataEncipherment',
  'keyAgreement',
  'keyCertSign',
  'cRLSign',
  'encipherOnly',
  'decipherOnly',
] as const

export type KeyUsage = (typeof KEY_USAGES)[number]

const EXTENDED_KEY_USAGES: Readonly<Record<string, string>> = {
  [SERVER_AUTHENTICATION]: 'serverAuth',
  [CLIENT_AUTHENTICATION]: 'clientAuth',
  '1.3.6.1.5.5.7.3.3': 'codeSigning',
  '1.3.6.1.5.5.7.3.4': 'emailProtection',
  '1.3.6.1.5.5.7.3.8': 'timeStamping',
  '1.3.6.1.5.5.7.3.9': 'OCSPSigning',
  '2.5.29.37.0': 'anyExtendedKeyUsage',
}

/** The extensions of a certificate, in order. @throws {DerError} */
export function readExtensions(certificate: Uint8Array): CertificateExtension[] {
  const [signed] = readElement(certificate).expect(TAG.SEQUENCE, 'the certificate').children()
  const wrapper = [...(signed?.expect(TAG.SEQUENCE, "the certificate's content").children() ?? [])].at(-1)
  if (wrapper?.tag !== 0xa3) return []
  const [list] = wrapper.children()
  return list ? readExtensionList(list) : []
}

/** @param list the SEQUENCE of extensions, of a certificate or a revocation list. @throws {DerError} */
export function readExtensionList(list: DerElement): CertificateExtension[] {
  return [...list.expect(TAG.SEQUENCE, 'the extensions').children()].map(readExtension)
}

/** The keyIdentifier of an authorityKeyIdentifier, where it has one (RFC 5280 4.2.1.1). @throws {DerError} */
export function readAuthorityKeyIdentifier(value: Uint8Array): Buffer | undefined {
  const parts = readWhole(value).expect(TAG.SEQUENCE, 'authorityKeyIdentifier').children()
  return [...parts].find(({ tag }) => tag === 0x80)?.content
}

/**
 * The names of a DistributionPointName, each in DER; none where it is relative to the issuer, which nobody writes.
 * @throws {DerError} also where there are more than `most`
 */
export function readPointNames(point: DerElement | undefined, most = Number.POSITIVE_INFINITY): Buffer[] {
  const [fullName] = point?.children() ?? []
  const names: Buffer[] = []
  for (const { raw } of fullName?.tag === 0xa0 ? fullName.children() : []) {
    if (names.push(raw) > most) throw new DerError(`it has more than ${most} names of its distribution point`)
  }
  return names
}

/** The names under which a certificate's lists are found, each a GeneralName in DER (RFC 5280 4.2.1.13). @throws {DerError} */
export function readDistributionPoints(value: Uint8Array): Buffer[] {
  const points = [...readWhole(value).expect(TAG.SEQUENCE, 'cRLDistributionPoints').children()]
  return points.flatMap((point) => readPointNames([...point.children()].find(({ tag }) => tag === 0xa0)))
}

function readExtension(element: DerElement): CertificateExtension {
  const [type, second, third] = element.children()
  const value = third ?? second
  if (type === undefined || value === undefined) throw new DerError('an extension lacks its type or value')
  return {
    oid: readOid(type.expect(TAG.OID, "an extension's type").content),
    isCritical: third !== undefined && second?.tag === TAG.BOOLEAN && second.content[0] !== 0,
    value: value.expect(TAG.OCTET_STRING, "an extension's value").content,
  }
}

/** @param value of the keyUsage extension. @throws {DerError} */
export function readKeyUsage(value: Uint8Array): KeyUsage[] {
  const [, ...bytes] = readWhole(value).expect(TAG.BIT_STRING, 'keyUsage').content
  return KEY_USAGES.filter((_, bit) => ((bytes[bit >> 3] ?? 0) & (0x80 >> (bit & 7))) !== 0)
}

/** Object identifiers. @param value of the extendedKeyUsage extension. @throws {DerError} */
export function readExtendedKeyUsage(value: Uint8Array): string[] {
  const purposes = readWhole(value).expect(TAG.SEQUENCE, 'extendedKeyUsage').children()
  return [...purposes].map((purpose) => readOid(purpose.expect(TAG.OID, 'a purpose').content))
}

/** Object identifiers. @param value of the certificatePolicies extension. @throws {DerError} */
export function readCertificatePolicies(value: Uint8Array): string[] {
  const policies = readWhole(value).expect(TAG.SEQUENCE, 'certificatePolicies').children()
  return [...policies].map((policy) => {
    const [identifier] = policy.expect(TAG.SEQUENCE, 'a policy').children()
    if (identifier === undefined) throw new DerError('a policy is empty')
    return readOid(identifier.expect(TAG.OID, "a policy's identifier").content)
  })
}

/** The object identifier of an extended key usage by its usual name; an identifier stays as it is. */
export function extendedKeyUsageIdentifier(name: string): string {
  const known = Object.entries(EXTENDED_KEY_USAGES).find(([, usual]) => usual === name)
  return known ? known[0] : name
}

/** The usual name of an extended key usage, or the identifier itself. */
export function extendedKeyUsageName(oid: string): string {
  return EXTENDED_KEY_USAGES[oid] ?? oid
}

/** @param value of the basicConstraints extension. @throws {DerError} */
export function readBasicConstraints(value: Uint8Array): { isAuthority: boolean; pathLength: number | undefined } {
  const parts = [...readWhole(value).expect(TAG.SEQUENCE, 'basicConstraints').children()]
  const isAuthority = parts[0]?.tag === TAG.BOOLEAN && parts[0].content[0] !== 0
  const limit = parts.find(({ tag }) => tag === TAG.INTEGER)
  return { isAuthority, pathLength: limit && Number(`0x${limit.content.toString('hex')}`) }
}
