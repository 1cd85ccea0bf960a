import { isIPv4, SocketAddress } from 'node:net'
import { bitString, boolean, element, octetString, oid, sequence, unsignedInteger } from './der-writer.ts'

export type Usage = 'client' | 'server'

/** The extensions of RFC 5280 4.2 that development certificates have. */
export interface ExtensionOptions {
  readonly dnsNames?: readonly string[]
  readonly ipAddresses?: readonly string[]
  readonly emails?: readonly string[]
  readonly uris?: readonly string[]
  /** Extended key usage. Both without it; `none` leaves the extension out. */
  readonly usages?: readonly Usage[] | 'none'
  readonly isAuthority?: boolean
  /** How many intermediates may stand below this authority. */
  readonly pathLength?: number
  /** Further extensions, each one a whole DER Extension, as {@link extension} makes. */
  readonly extensions?: readonly Uint8Array[]
}

export interface KeyFacts {
  readonly subjectKey: Buffer
  readonly issuerKey: Buffer
  readonly isRsa: boolean
  readonly isSubjectEmpty: boolean
}

const USAGES: Readonly<Record<Usage, string>> = {
  server: '1.3.6.1.5.5.7.3.1',
  client: '1.3.6.1.5.5.7.3.2',
}

/** One Extension in DER. */
export function extension(id: string, isCritical: boolean, value: Uint8Array): Buffer {
  return sequence(oid(id), ...(isCritical ? [boolean(true)] : []), octetString(value))
}

export function authorityKeyIdentifier(keyIdentifier: Uint8Array): Buffer {
  return extension('2.5.29.35', false, sequence(element(0x80, keyIdentifier)))
}

export function extensionsOf(options: ExtensionOptions, keys: KeyFacts): Buffer[] {
  const isAuthority = options.isAuthority ?? false
  const names = alternativeNames(options)
  const usages = options.usages ?? ['client', 'server']
  return [
    basicConstraints(isAuthority, options.pathLength),
    keyUsage(isAuthority, keys.isRsa),
    ...(usages === 'none' || usages.length === 0 ? [] : [extendedKeyUsage(usages)]),
    extension('2.5.29.14', false, octetString(keys.subjectKey)),
    authorityKeyIdentifier(keys.issuerKey),
    ...(names.length === 0 ? [] : [extension('2.5.29.17', keys.isSubjectEmpty, sequence(...names))]),
    ...(options.extensions ?? []).map((raw) => Buffer.from(raw)),
  ]
}

function basicConstraints(isAuthority: boolean, pathLength: number | undefined): Buffer {
  const limit = pathLength === undefined ? [] : [unsignedInteger(pathLength.toString(16).padStart(2, '0'))]
  return extension('2.5.29.19', true, isAuthority ? sequence(boolean(true), ...limit) : sequence())
}

/** The first bit is the highest: digitalSignature 0x80, keyEncipherment 0x20, keyCertSign 0x04, cRLSign 0x02. */
function keyUsage(isAuthority: boolean, isRsa: boolean): Buffer {
  if (isAuthority) return extension('2.5.29.15', true, bitString(Buffer.from([0x06]), 1))
  return extension('2.5.29.15', true, isRsa ? bitString(Buffer.from([0xa0]), 5) : bitString(Buffer.from([0x80]), 7))
}

function extendedKeyUsage(usages: readonly Usage[]): Buffer {
  return extension('2.5.29.37', false, sequence(...usages.map((usage) => oid(USAGES[usage]))))
}

function alternativeNames({ dnsNames = [], ipAddresses = [], emails = [], uris = [] }: ExtensionOptions): Buffer[] {
  const text = (tag: number) => (name: string) => element(tag, Buffer.from(name, 'latin1'))
  return [
    ...dnsNames.map(text(0x82)),
    ...ipAddresses.map((address) => element(0x87, addressBytes(address))),
    ...emails.map(text(0x81)),
    ...uris.map(text(0x86)),
  ]
}

function addressBytes(address: string): Buffer {
  if (isIPv4(address)) return Buffer.from(address.split('.').map(Number))
  const canonical = new SocketAddress({ address, family: 'ipv6' }).address
  const withoutDots = canonical.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, a, b, c, d) => {
    const quad = Buffer.from([a, b, c, d].map(Number)).toString('hex')
    return `${quad.slice(0, 4)}:${quad.slice(4)}`
  })
  const [head = '', tail] = withoutDots.split('::')
  const groups = (part: string | undefined) => (part ? part.split(':') : [])
  const missing = 8 - groups(head).length - groups(tail).length
  const all = [...groups(head), ...Array<string>(tail === undefined ? 0 : missing).fill('0'), ...groups(tail)]
  return Buffer.from(all.map((group) => group.padStart(4, '0')).join(''), 'hex')
}
