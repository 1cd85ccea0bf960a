/** Distinguished names, from the plain `CN=ada` to what only a hostile CA would write. */
import { ia5String, objectIdentifier, sequence, setOf, utf8String } from './der.ts'

const TYPES = {
  CN: '2.5.4.3',
  SN: '2.5.4.4',
  serialNumber: '2.5.4.5',
  C: '2.5.4.6',
  L: '2.5.4.7',
  ST: '2.5.4.8',
  street: '2.5.4.9',
  O: '2.5.4.10',
  OU: '2.5.4.11',
  title: '2.5.4.12',
  postalCode: '2.5.4.17',
  GN: '2.5.4.42',
  UID: '0.9.2342.19200300.100.1.1',
  DC: '0.9.2342.19200300.100.1.25',
  emailAddress: '1.2.840.113549.1.9.1',
} as const

export type AttributeType = keyof typeof TYPES

/** One attribute: its type by short name or as a dotted identifier, and its value as text (UTF8String, IA5String for DC and emailAddress) or as DER. */
export type Attribute = readonly [type: AttributeType | `${number}.${string}`, value: string | Buffer]

/** A DER Name. Each entry is one RDN: a single attribute, or several in an array. In the order of the encoding, so C first by custom. */
export function nameOf(...rdns: readonly (Attribute | readonly Attribute[])[]): Buffer {
  return sequence(...rdns.map((rdn) => setOf(...attributesOf(rdn).map(encodeAttribute))))
}

function attributesOf(rdn: Attribute | readonly Attribute[]): readonly Attribute[] {
  return Array.isArray(rdn[0]) ? (rdn as readonly Attribute[]) : [rdn as Attribute]
}

function encodeAttribute([type, value]: Attribute): Buffer {
  const identifier = type in TYPES ? TYPES[type as AttributeType] : type
  const isIa5 = type === 'DC' || type === 'emailAddress'
  const encoded = typeof value === 'string' ? (isIa5 ? ia5String(value) : utf8String(value)) : value
  return sequence(objectIdentifier(identifier), encoded)
}
