import { GatewayError } from '../errors.ts'

/** Headers that are the same for many requests of a connection, so that their text is made only once. */
export class ConstantHeaders {
  static readonly NONE = new ConstantHeaders([])

  /** A flat name, value list. */
  readonly list: readonly string[]
  #lines: string | undefined

  constructor(list: readonly string[]) {
    this.list = Object.freeze(list)
  }

  /**
   * Their lines in an HTTP/1.1 message.
   * @throws GatewayError GW_INTERNAL
   */
  get lines(): string {
    // Flattened to one string: V8 would otherwise keep a tree of forty parts, which each request would walk through again.
    this.#lines ??= Buffer.from(headerLines(this.list), 'latin1').toString('latin1')
    return this.#lines
  }
}

/** RFC 9110 5.5. Parsers and escaping come before this; it is a last defence against a header that becomes two. */
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/

/**
 * The lines of our own headers.
 * @param list flat name, value list
 * @throws GatewayError GW_INTERNAL
 */
export function headerLines(list: readonly string[]): string {
  let lines = ''
  for (let i = 0; i + 1 < list.length; i += 2) {
    const value = list[i + 1] as string
    if (!FIELD_VALUE.test(value)) throw new GatewayError('GW_INTERNAL', `header ${list[i]} cannot be written`)
    lines += `${list[i]}: ${value}\r\n`
  }
  return lines
}
