/** The header lines of an HTTP/1.1 message, in Latin-1: one character for each byte. */

/** Called for each field as it is read. */
export interface FieldReader {
  /** @param end where its line ends, with its CR LF */
  read(name: string, value: string, end: number): void
}

const MAX_FIELDS = 500

/**
 * Header lines: a token, a colon and a value, each ended by CR LF. A lone CR or LF would be a line end to some parsers (RFC 9112 2.2). A blank before
 * the colon or at the start of a line (obs-fold) is no part of a token. All lines are checked by one expression, which costs less than one name after
 * the other.
 */
export const FIELD_LINES = /(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*\r\n)*/y
/** The same in ASCII. */
export const ASCII_FIELD_LINES = /(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e]*\r\n)*/y

/**
 * Reads the lines from `from` up to the empty line at `to`.
 * @returns a flat name, value list, or what is wrong
 */
export function readFields(
  text: string,
  from: number,
  to: number,
  lines: typeof FIELD_LINES,
  reader?: FieldReader,
): string[] | string {
  lines.lastIndex = from
  if (!lines.test(text) || lines.lastIndex !== to) return problemOf(text.slice(from, to))
  const fields: string[] = []
  let at = from
  while (at < to) {
    const colon = text.indexOf(':', at)
    const end = text.indexOf('\r', colon)
    const name = text.slice(at, colon)
    const value = withoutBlanks(text, colon + 1, end)
    fields.push(name, value)
    if (fields.length > 2 * MAX_FIELDS) return `more than ${MAX_FIELDS} header lines`
    at = end + 2
    reader?.read(name, value, at)
  }
  return fields
}

const WITHOUT_CONTROLS = /^(?:[^\0-\x08\x0a-\x1f\x7f]*\r\n)*$/

function problemOf(lines: string): string {
  if (!WITHOUT_CONTROLS.test(lines)) return 'header lines with control characters or bare line ends'
  const isWithoutColon = lines
    .split('\r\n')
    .slice(0, -1)
    .some((line) => !line.includes(':'))
  return isWithoutColon ? 'a header line without a colon' : 'a header line whose name is no token'
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
