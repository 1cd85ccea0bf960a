import { isIP, SocketAddress } from 'node:net'
import { type DerElement, DerError, readOid, readWhole, TAG } from './der.ts'
import { formatRfc2253 } from './distinguished-name.ts'

/** One name of a subjectAltName extension (RFC 5280 4.2.1.6). */
export type AlternativeName =
  /** As the certificate spells it. */
  | { readonly type: 'dns' | 'email' | 'uri'; readonly value: string }
  /** Dotted IPv4, or IPv6 as RFC 5952 writes it. */
  | { readonly type: 'ip'; readonly value: string }
  /** Microsoft's user principal name, `user@domain`. */
  | { readonly type: 'upn'; readonly value: string }
  /** Any other otherName: its object identifier, and its value's DER as lower-case hex. */
  | { readonly type: 'othername'; readonly value: string; readonly oid: string }
  /** RFC 2253 text, as of a subject. */
  | { readonly type: 'dirname'; readonly value: string }
  /** Dotted object identifier. */
  | { readonly type: 'rid'; readonly value: string }

const USER_PRINCIPAL_NAME = '1.3.6.1.4.1.311.20.2.3'
const CONTROL = /[\x00-\x1f\x7f]/
const VISIBLE_IA5 = /^[\x20-\x7e]*$/

/**
 * The names of a subjectAltName extension, decoded from its DER: Node's text form joins them ambiguously (CVE-2021-44532). A name that is not what
 * its type promises (control characters, not ASCII, an address of odd length) is left out, so that nothing can match it: a NUL or a line feed in a
 * name is an attempt to be read as another name.
 * @param extensionValue the content of the extension's OCTET STRING
 * @throws {DerError} where the extension is malformed as a whole
 */
export function readAlternativeNames(extensionValue: Uint8Array): AlternativeName[] {
  const names: AlternativeName[] = []
  for (const element of readWhole(extensionValue).expect(TAG.SEQUENCE, 'subjectAltName').children()) {
    const name = readGeneralName(element)
    if (name !== undefined) names.push(name)
  }
  return names
}

function readGeneralName(element: DerElement): AlternativeName | undefined {
  switch (element.tag) {
    case 0xa0:
      return readOtherName(element)
    case 0x81:
      return readText('email', element.content)
    case 0x82:
      return readText('dns', element.content)
    case 0xa4:
      return readDirectoryName(element)
    case 0x86:
      return readText('uri', element.content)
    case 0x87:
      return readAddress(element.content)
    case 0x88:
      return { type: 'rid', value: readOid(element.content) }
    default:
      return undefined // x400Address and ediPartyName: nobody uses them
  }
}

function readText(type: 'dns' | 'email' | 'uri', content: Buffer): AlternativeName | undefined {
  const value = content.toString('latin1')
  return value !== '' && VISIBLE_IA5.test(value) ? { type, value } : undefined
}

function readAddress(content: Buffer): AlternativeName | undefined {
  if (content.length === 4) return { type: 'ip', value: content.join('.') }
  if (content.length !== 16) return undefined
  const groups = content.toString('hex').match(/.{4}/g) as string[]
  return { type: 'ip', value: canonicalAddress(groups.join(':')) }
}

/** An IPv6 address in the one spelling of RFC 5952, so that texts can be compared; anything else is returned as it is. */
function canonicalAddress(address: string): string {
  return isIP(address) === 6 ? new SocketAddress({ address, family: 'ipv6' }).address : address
}

function readDirectoryName(element: DerElement): AlternativeName {
  const [name] = element.children()
  if (name === undefined) throw new DerError('a directoryName is empty')
  return { type: 'dirname', value: formatRfc2253(name.raw) }
}

function readOtherName(element: DerElement): AlternativeName | undefined {
  const [type, wrapper] = element.children()
  if (type === undefined || wrapper === undefined) throw new DerError('an otherName lacks its type or value')
  const oid = readOid(type.expect(TAG.OID, "an otherName's type").content)
  const [value] = wrapper.expect(0xa0, "an otherName's value").children()
  if (value === undefined) throw new DerError('an otherName is empty')
  if (oid !== USER_PRINCIPAL_NAME) return { type: 'othername', value: value.raw.toString('hex'), oid }
  return readUserPrincipalName(value)
}

function readUserPrincipalName(value: DerElement): AlternativeName | undefined {
  if (value.tag !== TAG.UTF8_STRING) return undefined
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(value.content)
    return text !== '' && !CONTROL.test(text) ? { type: 'upn', value: text } : undefined
  } catch {
    return undefined
  }
}
