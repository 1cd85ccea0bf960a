/** Distinguished names as people write them (RFC 4514): `CN=ada,OU=Users+L=Berlin,O=Acme`. */

/** One attribute of a written name: its type as written, and its value decoded. */
export interface WrittenAttribute {
  readonly type: string
  readonly value: string
  /** The value was written as `#` and the hex of its DER (RFC 4514 2.4); `value` is that hex then, lower case. */
  readonly isHex: boolean
}

/** The attributes of one RDN; nearly always one. */
export type WrittenRdn = readonly WrittenAttribute[]

/** A text that is no distinguished name; the message says why and never repeats it. */
export class NameTextError extends Error {}

const SPECIAL = new Set([...' "#+,;<=>\\'])
const HEX_PAIR = /^[0-9a-fA-F]{2}$/

/**
 * The RDNs in the order of the text, which is the reverse of a certificate's. Spaces around types and values do not count unless
 * they are escaped. Unlike go-ldap's parser an empty last value stays one: `CN=ada,OU=` is not `CN=ada`.
 * @throws {NameTextError}
 */
export function parseNameText(text: string): WrittenRdn[] {
  if (/^ *$/.test(text)) return []
  const rdns: WrittenAttribute[][] = [[]]
  for (const { piece, separator } of split(text)) {
    rdns.at(-1)?.push(readAttribute(piece))
    if (separator === ',') rdns.push([])
  }
  return rdns
}

/** The attributes between unescaped separators, and what ends each. */
function split(text: string): { piece: string; separator: string }[] {
  const pieces: { piece: string; separator: string }[] = []
  let start = 0
  for (let i = 0; i < text.length; i++) {
    const character = text[i] as string
    if (character === '\\') i++
    else if (character === ',' || character === '+') {
      pieces.push({ piece: text.slice(start, i), separator: character })
      start = i + 1
    }
  }
  return [...pieces, { piece: text.slice(start), separator: '' }]
}

function readAttribute(piece: string): WrittenAttribute {
  const equals = piece.indexOf('=')
  const type = equals === -1 ? '' : piece.slice(0, equals).replace(/^ +| +$/g, '')
  if (type === '') throw new NameTextError('has a part that is not of the form TYPE=value')
  const written = withoutOuterSpaces(piece.slice(equals + 1))
  if (!written.startsWith('#')) return { type, value: unescaped(written), isHex: false }
  const hex = written.slice(1)
  if (!/^([0-9a-fA-F]{2})+$/.test(hex))
    throw new NameTextError('has a value that begins with # and is no hex; write \\#')
  return { type, value: hex.toLowerCase(), isHex: true }
}

/** Spaces only: a tab belongs to the value, and so does an escaped space at its end. */
function withoutOuterSpaces(written: string): string {
  const value = written.replace(/^ +/, '')
  const end = value.replace(/ +$/, '')
  const backslashes = /\\*$/.exec(end)?.[0].length ?? 0
  return end.length < value.length && backslashes % 2 === 1 ? `${end} ` : end
}

function unescaped(written: string): string {
  if (!written.includes('\\')) return written
  const bytes: Buffer[] = []
  for (let i = 0; i < written.length; i++) {
    if (written[i] !== '\\') {
      const end = written.indexOf('\\', i)
      const plain = written.slice(i, end === -1 ? undefined : end)
      bytes.push(Buffer.from(plain, 'utf8'))
      i += plain.length - 1
      continue
    }
    const next = written[i + 1]
    const pair = written.slice(i + 1, i + 3)
    if (next !== undefined && SPECIAL.has(next)) {
      bytes.push(Buffer.from(next))
      i += 1
    } else if (HEX_PAIR.test(pair)) {
      bytes.push(Buffer.from(pair, 'hex'))
      i += 2
    } else throw new NameTextError('has a backslash that neither a special character nor two hex digits follow')
  }
  return decode(Buffer.concat(bytes))
}

function decode(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw new NameTextError('has escaped bytes that are not UTF-8')
  }
}
