/** Just enough DER (X.690) to write certificates that no careful library would write. */

export function tlv(tag: number, ...contents: readonly Buffer[]): Buffer {
  const content = Buffer.concat(contents)
  return Buffer.concat([Buffer.from([tag]), lengthOf(content.length), content])
}

function lengthOf(length: number): Buffer {
  if (length < 0x80) return Buffer.from([length])
  const bytes: number[] = []
  for (let rest = length; rest > 0; rest >>>= 8) bytes.unshift(rest & 0xff)
  return Buffer.from([0x80 | bytes.length, ...bytes])
}

export const sequence = (...contents: readonly Buffer[]): Buffer => tlv(0x30, ...contents)
/** SET OF: DER wants its members sorted by their encoding. */
export const setOf = (...members: readonly Buffer[]): Buffer => tlv(0x31, ...members.toSorted(Buffer.compare))
/** A context-specific tag around whole values. */
export const explicit = (number: number, ...contents: readonly Buffer[]): Buffer => tlv(0xa0 | number, ...contents)
/** A context-specific tag in place of a primitive value's own. */
export const implicit = (number: number, content: Buffer): Buffer => tlv(0x80 | number, content)
export const octetString = (content: Buffer): Buffer => tlv(0x04, content)
export const bitString = (content: Buffer, unusedBits = 0): Buffer => tlv(0x03, Buffer.from([unusedBits]), content)
export const boolean = (value: boolean): Buffer => tlv(0x01, Buffer.from([value ? 0xff : 0]))
/** Two's complement bytes as they are, so that a test can write what an encoder would refuse. */
export const rawInteger = (bytes: Buffer): Buffer => tlv(0x02, bytes)

export const utf8String = (text: string): Buffer => tlv(0x0c, Buffer.from(text, 'utf8'))
export const printableString = (text: string): Buffer => tlv(0x13, Buffer.from(text, 'latin1'))
export const t61String = (text: string): Buffer => tlv(0x14, Buffer.from(text, 'latin1'))
export const ia5String = (text: string): Buffer => tlv(0x16, Buffer.from(text, 'latin1'))
export const bmpString = (text: string): Buffer => tlv(0x1e, Buffer.from(text, 'utf16le').swap16())
export function universalString(text: string): Buffer {
  const points = [...text].map((character) => {
    const bytes = Buffer.alloc(4)
    bytes.writeUInt32BE(character.codePointAt(0) ?? 0)
    return bytes
  })
  return tlv(0x1c, ...points)
}

export function objectIdentifier(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  return tlv(0x06, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]))
}

function base128(value: number): number[] {
  const bytes = [value % 128]
  for (let rest = Math.floor(value / 128); rest > 0; rest = Math.floor(rest / 128)) bytes.unshift(0x80 | (rest % 128))
  return bytes
}

export const utcTime = (text: string): Buffer => tlv(0x17, Buffer.from(text))
export const generalizedTime = (text: string): Buffer => tlv(0x18, Buffer.from(text))

/** UTCTime until 2049, GeneralizedTime from 2050 (RFC 5280 4.1.2.5). */
export function time(date: Date): Buffer {
  const digits = date.toISOString().replace(/[-:T]|\.\d+/g, '')
  return date.getUTCFullYear() < 2050 ? utcTime(digits.slice(2)) : generalizedTime(digits)
}

export function pem(label: string, der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? []
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`
}
