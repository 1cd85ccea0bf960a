import { PemError } from './pem.ts'

const BEGIN = /^-----BEGIN ([A-Z0-9 ]+)-----$/
const BOUNDARY = /^-----\s*(BEGIN|END)/
const DASHES = '-----'

const LF = 0x0a
const CR = 0x0d
const PAD = 0x3d
const SPACE = 64
const INVALID = 65

/** What a byte of base64 stands for. */
const SEXTETS = Uint8Array.from({ length: 256 }, (_, byte) => {
  const at = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'.indexOf(String.fromCharCode(byte))
  if (at >= 0) return at
  return ' \t\r\n\v\f'.includes(String.fromCharCode(byte)) ? SPACE : INVALID
})

/**
 * The DER of all blocks with one label, from PEM that may be hundreds of megabytes: it allocates only the result, where {@link readPemBlocks} would
 * make a text of each line. As there, a damaged or incomplete block is an error and never skipped.
 * @throws {PemError}
 */
export function readPemBytes(bytes: Buffer, label: string): Buffer[] {
  const blocks: Buffer[] = []
  for (let at = bytes.indexOf(DASHES); at >= 0; ) {
    const { text, end } = lineAt(bytes, at)
    const begun = BEGIN.exec(text)?.[1]
    if (begun === undefined) {
      if (BOUNDARY.test(text))
        throw new PemError(`line ${lineNumber(bytes, at)} is a damaged or misplaced PEM boundary`)
      at = bytes.indexOf(DASHES, end)
      continue
    }
    const close = bytes.indexOf(DASHES, end)
    const last = close < 0 ? undefined : lineAt(bytes, close)
    if (last?.text !== `-----END ${begun}-----`) {
      throw new PemError(`the ${begun} block that begins on line ${lineNumber(bytes, at)} has no END line`)
    }
    if (begun === label) blocks.push(decoded(bytes, end, close, label))
    at = bytes.indexOf(DASHES, last.end)
  }
  return blocks
}

/** The line that holds a position, without the blanks around it. */
function lineAt(bytes: Buffer, position: number): { text: string; end: number } {
  let start = position
  while (start > 0 && bytes[start - 1] !== LF && bytes[start - 1] !== CR) start--
  let end = position
  while (end < bytes.length && bytes[end] !== LF && bytes[end] !== CR) end++
  return {
    text: bytes
      .toString('latin1', start, end)
      .replace(/^\u00ef\u00bb\u00bf/, '')
      .trim(),
    end,
  }
}

function lineNumber(bytes: Buffer, position: number): number {
  return bytes.toString('latin1', 0, position).split(/\r\n|\r|\n/).length
}

function decoded(bytes: Buffer, start: number, end: number, label: string): Buffer {
  const result = Buffer.allocUnsafeSlow(Math.ceil(((end - start) * 3) / 4))
  let length = 0
  let at = start
  for (;;) {
    // Nearly all groups of four characters are contiguous.
    while (at + 4 <= end) {
      const first = SEXTETS[bytes[at] as number] as number
      const second = SEXTETS[bytes[at + 1] as number] as number
      const third = SEXTETS[bytes[at + 2] as number] as number
      const fourth = SEXTETS[bytes[at + 3] as number] as number
      if ((first | second | third | fourth) >= SPACE) break
      const group = (first << 18) | (second << 12) | (third << 6) | fourth
      result[length++] = group >> 16
      result[length++] = group >> 8
      result[length++] = group
      at += 4
    }
    const { group, count, padding, next } = groupAt(bytes, at, end, label)
    at = next
    if (count === 0) break
    result[length++] = group >> 16
    if (padding < 2) result[length++] = group >> 8
    if (padding < 1) result[length++] = group
    if (padding > 0 && groupAt(bytes, at, end, label).count > 0) throw noBase64(label)
  }
  if (length === 0) throw noBase64(label)
  return result.subarray(0, length)
}

/** Four characters with blanks among them, or padding; none at the end. */
function groupAt(bytes: Buffer, start: number, end: number, label: string) {
  let group = 0
  let count = 0
  let padding = 0
  let next = start
  while (next < end && count < 4) {
    const byte = bytes[next++] as number
    const sextet = SEXTETS[byte] as number
    if (sextet === SPACE) continue
    if (byte === PAD) padding++
    else if (sextet === INVALID || padding > 0) throw noBase64(label)
    group = (group << 6) | (sextet & 63)
    count++
  }
  if ((count !== 0 && count !== 4) || padding > 2) throw noBase64(label)
  return { group, count, padding, next }
}

function noBase64(label: string): PemError {
  return new PemError(`a ${label} block is not base64`)
}
