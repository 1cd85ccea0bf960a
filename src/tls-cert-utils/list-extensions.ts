import { type DerElement, DerError, readWhole, TAG } from './der.ts'
import {
  AUTHORITY_KEY_IDENTIFIER,
  type CertificateExtension,
  readAuthorityKeyIdentifier,
  readExtensionList,
  readPointNames,
} from './extensions.ts'

/** Which certificates of its issuer a list covers (RFC 5280 5.2.5). */
export interface ListScope {
  readonly certificates: 'all' | 'users' | 'authorities'
  /** GeneralNames in DER: only certificates that name one of them as their distribution point. Undefined means all. */
  readonly pointNames: readonly Uint8Array[] | undefined
}

const DELTA_CRL_INDICATOR = '2.5.29.27'
const ISSUING_DISTRIBUTION_POINT = '2.5.29.28'
/** These may be critical and still change nothing here: the list's number, and the issuer's other names. */
const HARMLESS: ReadonlySet<string> = new Set([AUTHORITY_KEY_IDENTIFIER, '2.5.29.20', '2.5.29.18'])

const EVERYTHING: ListScope = { certificates: 'all', pointNames: undefined }

/**
 * Reads the extensions of a list, given their wrapper [0].
 * @throws {DerError} for lists that a reader of complete lists would misread, naming their kind
 */
export function readListExtensions(wrapper: DerElement | undefined): {
  readonly authorityKeyId: Buffer | undefined
  readonly scope: ListScope
} {
  const [list] = wrapper?.children() ?? []
  let authorityKeyId: Buffer | undefined
  let scope = EVERYTHING
  for (const extension of list ? readExtensionList(list) : []) {
    if (extension.oid === DELTA_CRL_INDICATOR) throw new DerError('it is a delta list, which is no complete one')
    if (extension.oid === AUTHORITY_KEY_IDENTIFIER) authorityKeyId = copyOf(readAuthorityKeyIdentifier(extension.value))
    if (extension.oid === ISSUING_DISTRIBUTION_POINT) scope = readScope(extension)
    else if (extension.isCritical && !HARMLESS.has(extension.oid)) {
      throw new DerError(`it has the unknown critical extension ${extension.oid}`)
    }
  }
  return { authorityKeyId, scope }
}

/** Of an issuing distribution point. Each is compared with those of each certificate, and whoever answers for a fetched list could name millions. */
const MOST_POINT_NAMES = 1000

function readScope({ value }: CertificateExtension): ListScope {
  const fields = new Map<number, DerElement>()
  for (const field of readWhole(value).expect(TAG.SEQUENCE, 'issuingDistributionPoint').children()) {
    fields.set(field.tag, field)
  }
  const isSet = (tag: number) => (fields.get(tag)?.content[0] ?? 0) !== 0
  if (isSet(0x84)) throw new DerError('it is an indirect list, with entries of other issuers')
  if (fields.has(0x83)) throw new DerError('it is only for some reasons, and so not complete')
  if (isSet(0x85)) throw new DerError('it is only for attribute certificates')
  if (isSet(0x81) && isSet(0x82)) throw new DerError('it is only for users and only for authorities, which nobody is')
  const names = fields.has(0xa0)
    ? readPointNames(fields.get(0xa0), MOST_POINT_NAMES).map((name) => Buffer.from(name))
    : undefined
  return { certificates: isSet(0x81) ? 'users' : isSet(0x82) ? 'authorities' : 'all', pointNames: names }
}

function copyOf(bytes: Buffer | undefined): Buffer | undefined {
  return bytes && Buffer.from(bytes)
}
