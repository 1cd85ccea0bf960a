/** Names as keys: equal if and only if the names are, whatever the order of their RDNs. */
import { SHORT_NAMES } from './attribute-names.ts'
import type { RelativeDistinguishedName } from './distinguished-name.ts'
import { NameTextError, type WrittenRdn } from './name-text.ts'

/** Where OpenSSL has two types of one name in different cases (UID, uid), what people mean is the one that certificates hold. */
const OIDS: ReadonlyMap<string, string> = new Map([
  ...[...SHORT_NAMES].map(([oid, name]): [string, string] => [name.toLowerCase(), oid]).reverse(),
  ['e', '1.2.840.113549.1.9.1'],
  ['s', '2.5.4.8'],
  ['uid', '0.9.2342.19200300.100.1.1'],
])

/** The dotted identifier of an attribute type that is written by name or as one; undefined for a type that nobody knows. */
export function attributeOid(type: string): string | undefined {
  if (/^\d+(\.\d+)+$/.test(type)) return type
  return OIDS.get(type.toLowerCase())
}

/** The key of a written name. @throws {NameTextError} where it has a type that nobody knows */
export function keyOfWrittenName(rdns: readonly WrittenRdn[]): string {
  return keyOf(
    rdns.map((rdn) =>
      rdn.map(({ type, value, isHex }) => {
        const oid = attributeOid(type)
        if (oid === undefined)
          throw new NameTextError('has an attribute type that is not known; write its dotted identifier')
        return attributeKey(oid, value, isHex)
      }),
    ),
  )
}

/** The key of a certificate's name. */
export function keyOfName(rdns: readonly RelativeDistinguishedName[]): string {
  return keyOf(
    rdns.map((rdn) =>
      rdn.map(({ oid, value, isText, raw }) => attributeKey(oid, isText ? value : raw.toString('hex'), !isText)),
    ),
  )
}

/** Lengths stand before values, so that no value can look like the end of one and the start of the next. */
function attributeKey(oid: string, value: string, isHex: boolean): string {
  return `${oid}${isHex ? '#' : '='}${value.length}:${value}`
}

function keyOf(rdns: readonly (readonly string[])[]): string {
  return rdns
    .map((rdn) => (rdn.length === 1 ? (rdn[0] as string) : rdn.toSorted().join('+')))
    .sort()
    .join(',')
}
