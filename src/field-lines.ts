/** The header lines of an HTTP/1.1 message, in Latin-1: one character for each byte. */

/** What is told of each field as it is read. */
export interface FieldReader {
  read(name: string, value: string): void
}

const MAX_FIELDS = 500

/**
 * Reads the lines from `from` up to the empty line at `to`; each must be known to end with CR LF and to hold no other controls.
 * @returns a flat name, value list, or what is wrong
 */
export function readFields(text: string, from: number, to: number, reader?: FieldReader): string[] | string {
  const fields: string[] = []
  let at = from
  while (at < to) {
    const end = text.indexOf('\r\n', at)
    const colon = text.indexOf(':', at)
    if (colon === -1 || colon > end) return 'a header line without a colon'
    const name = text.slice(at, colon)
    // A blank before the colon, or at the start of a line (obs-fold), is no part of a token either.
    if (!isToken(name)) return 'a header line whose name is no token'
    const value = withoutBlanks(text, colon + 1, end)
    fields.push(name, value)
    if (fields.length > 2 * MAX_FIELDS) return `more than ${MAX_FIELDS} header lines`
    reader?.read(name, value)
    at = end + 2
  }
  return fields
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/

const tokens = new Set<string>()
const MAX_TOKENS = 500

/** Names repeat: those that were found good are remembered, up to a bound. */
function isToken(name: string): boolean {
  if (tokens.has(name)) return true
  if (!TOKEN.test(name)) return false
  // A copy: the name is a slice that would keep its whole head in memory, with all that is secret there.
  if (tokens.size < MAX_TOKENS && name.length < 64) tokens.add(Buffer.from(name, 'latin1').toString('latin1'))
  return true
}

function withoutBlanks(text: string, from: number, to: number): string {
  let start = from
  let end = to
  while (start < end && isBlank(text.charCodeAt(start))) start += 1
  while (end > start && isBlank(text.charCodeAt(end - 1))) end -= 1
  return text.slice(start, end)
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09
}
