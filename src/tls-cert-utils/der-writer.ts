import { TAG } from './der.ts'

/** Writes DER (X.690). Each function gives one whole element. */

/** An element with any identifier octet around its content. */
export function element(tag: number, ...content: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(content)
  return Buffer.concat([Buffer.from([tag]), lengthOf(body.length), body])
}

export function sequence(...elements: readonly Uint8Array[]): Buffer {
  return element(TAG.SEQUENCE, ...elements)
}

/** A SET OF: DER orders the elements by their bytes (X.690 11.6). */
export function setOf(...elements: readonly Uint8Array[]): Buffer {
  return element(TAG.SET, ...[...elements].sort(Buffer.compare))
}

/** An INTEGER from two's complement content, as hex; a leading zero byte keeps a number positive. */
export function integerOf(hex: string): Buffer {
  return element(TAG.INTEGER, Buffer.from(hex, 'hex'))
}

/** A non-negative INTEGER from its magnitude in hex. */
export function unsignedInteger(hex: string): Buffer {
  const digits = hex.replace(/^(?:00)+(?=..)/, '')
  return integerOf(Number.parseInt(digits.slice(0, 2), 16) >= 0x80 ? `00${digits}` : digits)
}

export function boolean(value: boolean): Buffer {
  return element(TAG.BOOLEAN, Buffer.from([value ? 0xff : 0]))
}

export function octetString(content: Uint8Array): Buffer {
  return element(TAG.OCTET_STRING, content)
}

/** A BIT STRING whose last byte leaves `unused` bits free. */
export function bitString(content: Uint8Array, unused = 0): Buffer {
  return element(TAG.BIT_STRING, Buffer.from([unused]), content)
}

/** An OBJECT IDENTIFIER from its dotted form. */
export function oid(dotted: string): Buffer {
  const [first = 0n, second = 0n, ...rest] = dotted.split('.').map(BigInt)
  return element(TAG.OID, ...[first * 40n + second, ...rest].map(base128))
}

/** UTCTime until 2049, GeneralizedTime from 2050 on and before 1950 (RFC 5280 4.1.2.5). */
export function time(date: Date): Buffer {
  const digits = date.toISOString().replace(/\.\d+/, '').replace(/[-:T]/g, '')
  const year = date.getUTCFullYear()
  const isUtcTime = year >= 1950 && year < 2050
  return isUtcTime
    ? element(TAG.UTC_TIME, Buffer.from(digits.slice(2), 'latin1'))
    : element(TAG.GENERALIZED_TIME, Buffer.from(digits, 'latin1'))
}

function base128(arc: bigint): Buffer {
  const bytes = [Number(arc & 0x7fn)]
  for (let rest = arc >> 7n; rest > 0n; rest >>= 7n) bytes.unshift(Number(rest & 0x7fn) | 0x80)
  return Buffer.from(bytes)
}

function lengthOf(length: number): Buffer {
  if (length < 0x80) return Buffer.from([length])
  const digits = length.toString(16)
  const bytes = Buffer.from(digits.length % 2 === 0 ? digits : `0${digits}`, 'hex')
  return Buffer.concat([Buffer.from([0x80 + bytes.length]), bytes])
}
