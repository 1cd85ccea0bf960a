import { FIELD_LINES, readFields } from '../../http-fields/field-lines.ts'
import { hasUnsafe, malformed } from './head-reader.ts'

export interface ChunkEvents {
  data(chunk: Buffer): void
  end(trailers: string[]): void
}

type State = 'size' | 'extension' | 'size-lf' | 'data' | 'data-cr' | 'data-lf' | 'trailers' | 'done'

const CR = 0x0d
const LF = 0x0a
/** Hexadecimal digits: 13 are just below 2^53. */
const MAX_DIGITS = 13
/** The most bytes of chunk extensions in one body; nobody reads what they hold. */
const MAX_EXTENSIONS = 16 * 1024

/** As llhttp reads them: a name, perhaps with a token or a quoted string as its value, and no blanks between. */
const EXTENSIONS =
  /^(?:;[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?:=(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+|"(?:[\t !#-[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*"))?)+$/

/** Reads a chunked body (RFC 9112 7.1), strictly: every line ends with CR LF, a size has nothing but digits. */
export class ChunkReader {
  readonly #events: ChunkEvents
  readonly #maxTrailers: number
  #state: State = 'size'
  #digits = 0
  #size = 0
  #extensions = 0
  /** The extensions of one chunk. */
  #extension = ''
  #trailers = ''

  constructor(events: ChunkEvents, maxTrailers: number) {
    this.#events = events
    this.#maxTrailers = maxTrailers
  }

  /**
   * Reads from `from` to the end of the body or of the bytes, and returns how far it came.
   * @throws GatewayError GW_UPSTREAM_RESPONSE
   */
  execute(bytes: Buffer, from: number): number {
    let at = from
    while (at < bytes.length && this.#state !== 'done') {
      if (this.#state === 'data') at = this.#readData(bytes, at)
      else if (this.#state === 'trailers') at = this.#readTrailers(bytes, at)
      else this.#step(bytes[at++] as number)
    }
    return at
  }

  #step(byte: number): void {
    switch (this.#state) {
      case 'size':
        this.#readSize(byte)
        break
      case 'extension':
        this.#readExtension(byte)
        break
      case 'size-lf':
        if (byte !== LF) throw malformed('a chunk size without a line end')
        this.#state = this.#size === 0 ? 'trailers' : 'data'
        break
      case 'data-cr':
        if (byte !== CR) throw malformed('a chunk that is longer than its size')
        this.#state = 'data-lf'
        break
      case 'data-lf':
        if (byte !== LF) throw malformed('a chunk without a line end')
        this.#state = 'size'
        this.#digits = 0
        this.#size = 0
    }
  }

  #readSize(byte: number): void {
    const digit = hexadecimal(byte)
    if (digit !== -1) {
      this.#digits += 1
      if (this.#digits > MAX_DIGITS) throw malformed('a chunk size beyond all bounds')
      this.#size = this.#size * 16 + digit
      return
    }
    if (this.#digits === 0) throw malformed('a chunk without a size')
    if (byte === CR) this.#state = 'size-lf'
    else if (byte === 0x3b) {
      this.#state = 'extension'
      this.#extension = ';'
    } else throw malformed('a chunk size that is no number')
  }

  #readExtension(byte: number): void {
    this.#extensions += 1
    if (this.#extensions > MAX_EXTENSIONS) throw malformed('chunk extensions without end')
    if (byte === CR) {
      if (!EXTENSIONS.test(this.#extension)) throw malformed('a chunk extension that is none')
      this.#state = 'size-lf'
    } else if (byte < 0x20 && byte !== 0x09) throw malformed('a control character in a chunk extension')
    else this.#extension += String.fromCharCode(byte)
  }

  #readData(bytes: Buffer, from: number): number {
    const to = Math.min(bytes.length, from + this.#size)
    this.#size -= to - from
    this.#events.data(bytes.subarray(from, to))
    if (this.#size === 0) this.#state = 'data-cr'
    return to
  }

  #readTrailers(bytes: Buffer, from: number): number {
    const before = this.#trailers.length
    const text =
      this.#trailers + bytes.toString('latin1', from, Math.min(bytes.length, from + this.#maxTrailers - before))
    const end = text.startsWith('\r\n') ? 0 : text.indexOf('\r\n\r\n', Math.max(0, before - 3))
    if (end === -1) {
      if (text.length >= this.#maxTrailers) throw malformed('trailers without end')
      if (hasUnsafe(text, before)) throw malformed('trailers with control characters or bare line ends')
      this.#trailers = text
      return bytes.length
    }
    const length = end === 0 ? 2 : end + 4
    const trailers = text.slice(0, length)
    if (hasUnsafe(trailers, 0)) throw malformed('trailers with control characters or bare line ends')
    this.#state = 'done'
    this.#events.end(end === 0 ? [] : readTrailers(trailers))
    return from + length - before
  }
}

/** Framing headers may not come after the message (RFC 9110 6.5.1). */
function readTrailers(text: string): string[] {
  const fields = readFields(text, 0, text.length - 2, FIELD_LINES)
  if (typeof fields === 'string') throw malformed(fields)
  for (let i = 0; i < fields.length; i += 2) {
    if (/^(?:content-length|transfer-encoding)$/i.test(fields[i] as string)) throw malformed('framing in its trailers')
  }
  return fields
}

function hexadecimal(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30
  const letter = byte | 0x20
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1
}
