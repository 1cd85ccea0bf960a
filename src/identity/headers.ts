/** Filters the headers between client and backend, in both directions: no header that is ours to write gets through, in any spelling. */

import { isNamed, isSame } from '../http-fields/field-names.ts'
import type { AnswerHeaders } from '../types.ts'
import { fold } from './fold.ts'
import { HOP_BY_HOP, namesIdentity, namesOrigin } from './owned-names.ts'

export interface RequestHeaderFilterOptions {
  /** The names that this gateway writes, beyond those that every gateway owns. */
  readonly ownedNames: readonly string[]
  /** nginx's `underscores_in_headers`: let names through that hold more than letters, digits and `-`. */
  readonly underscores: boolean
}

export interface RequestHeaderFilter {
  /**
   * Appends the client's end-to-end headers to `out`, flat, in their order. Use it for trailers too.
   * @param connectionOptions the lower-cased names that Connection lists in the same message
   * @param isHidden whether a header, given by its lower-case name, is meant for the gateway alone
   */
  append(
    rawHeaders: readonly string[],
    connectionOptions: ReadonlySet<string> | undefined,
    out: string[],
    isHidden?: (name: string, value: string) => boolean,
  ): void
}

/**
 * Never passes on: hop-by-hop headers and framing; Host and Expect; whatever says who is calling or where the request came from (our names, or any
 * other gateway's), in every spelling; and odd names, as nginx's `ignore_invalid_headers`.
 */
export function createRequestHeaderFilter({
  ownedNames,
  underscores,
}: RequestHeaderFilterOptions): RequestHeaderFilter {
  const owned = new Set(ownedNames.map(fold))
  const passes = remember((name) => {
    if (!underscores && !/^[A-Za-z0-9-]+$/.test(name)) return false
    const folded = fold(name)
    return !(NOT_FORWARDED.has(folded) || owned.has(folded) || namesIdentity(folded) || namesOrigin(folded))
  })
  return {
    append(rawHeaders, connectionOptions, out, isHidden) {
      const named = connectionOptions && namesMore(connectionOptions) ? connectionOptions : undefined
      for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
        const name = rawHeaders[i] as string
        const value = rawHeaders[i + 1] as string
        if (!passes(name) || (named && isAmong(name, named)) || isHidden?.(name.toLowerCase(), value)) continue
        out.push(name, value)
      }
    },
  }
}

/** `proxy` becomes HTTP_PROXY in CGI programs (CVE-2016-5385, httpoxy). */
const NOT_FORWARDED: ReadonlySet<string> = new Set([...HOP_BY_HOP, 'host', 'content-length', 'expect', 'proxy'])

export interface ResponseHeaderFilterOptions {
  readonly ownedNames: readonly string[]
  /** Whether to append `Via: 1.1 sallyport`. */
  readonly via: boolean
}

/**
 * Passes on the upstream's end-to-end headers, with duplicates, then Via and `X-Request-ID`. Content-Length passes; Transfer-Encoding does not, since
 * the body arrives decoded. Trailer is dropped too: node:http throws on it beside a Content-Length, so an upstream could fail every request with it.
 */
export function createResponseHeaderFilter({ ownedNames, via }: ResponseHeaderFilterOptions): AnswerHeaders {
  const owned = new Set(ownedNames.map(fold))
  const tellsOfCaller = (folded: string) => owned.has(folded) || namesIdentity(folded)
  const kindOf = remember((name): AnswerField => {
    const folded = fold(name)
    if (isNamed(name, 'connection')) return 'connection'
    if (HOP_BY_HOP.has(folded) || tellsOfCaller(folded) || namesOrigin(folded)) return 'ours or hop by hop'
    return WATCHED.find((watched) => isNamed(name, watched)) ?? 'any other'
  })
  const passes = (name: string) => {
    const kind = kindOf(name)
    return kind !== 'connection' && kind !== 'ours or hop by hop'
  }
  const ourLines = `${via ? `Via: ${VIA}\r\n` : ''}X-Request-ID: `
  return {
    lines: ({ headers, text, linesStart, lineEnds }, requestId) => {
      let [passed, from, hasLength, hasDate] = ['', linesStart, false, false]
      for (let i = 0, start = linesStart; i < lineEnds.length; i++) {
        const end = lineEnds[i] as number
        const kind = kindOf(headers[2 * i] as string)
        if (kind === 'vary') return undefined
        if (kind === 'connection' && !PERSISTENCE.includes(headers[2 * i + 1] as string)) return undefined
        if (kind === 'connection' || kind === 'ours or hop by hop') {
          // Lines that stay beside each other are passed on as one text.
          if (from < start) passed += text.slice(from, start)
          from = end
        }
        hasLength ||= kind === 'content-length'
        hasDate ||= kind === 'date'
        start = end
      }
      const rest = text.slice(from, lineEnds.at(-1) ?? linesStart)
      return { text: `${passed}${rest}${ourLines}${requestId}\r\n`, hasLength, hasDate }
    },
    forward(rawHeaders, requestId) {
      const out = endToEnd(rawHeaders, passes)
      hideFromVary(out, tellsOfCaller)
      if (via) out.push('Via', VIA)
      out.push('X-Request-ID', requestId)
      return out
    },
    // A length after the body means nothing any more (RFC 9110 6.5.1).
    trailers: (rawTrailers) => endToEnd(rawTrailers, (name) => passes(name) && fold(name) !== 'content-length'),
  }
}

/** Of those that pass, what more is to be known of them. */
const WATCHED = ['vary', 'date', 'content-length'] as const

type AnswerField = (typeof WATCHED)[number] | 'connection' | 'ours or hop by hop' | 'any other'

function endToEnd(rawHeaders: readonly string[], passes: (name: string) => boolean): string[] {
  const out: string[] = []
  let connection: string | undefined
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string
    const value = rawHeaders[i + 1] as string
    if (passes(name)) out.push(name, value)
    else if (isNamed(name, 'connection')) {
      connection = connection === undefined ? value : `${connection},${value}`
    }
  }
  const named = connection === undefined ? undefined : namedInConnection(connection)
  return named ? out.filter((_, i) => !isAmong(out[i - (i % 2)] as string, named)) : out
}

/**
 * An answer that varies by an identity header differs for each caller. Caches in front of us do not see that header and would give one caller's
 * answer to the next. So its Vary becomes `*` (RFC 9440 2.4).
 */
function hideFromVary(out: string[], tellsOfCaller: (folded: string) => boolean): void {
  for (let i = 0; i + 1 < out.length; i += 2) {
    const name = out[i] as string
    if (!isNamed(name, 'vary')) continue
    const names = (out[i + 1] as string).split(',')
    if (names.some((each) => tellsOfCaller(fold(each.trim())))) out[i + 1] = '*'
  }
}

/** What Connection nearly always says, and which names no other header. */
const PERSISTENCE: readonly string[] = ['keep-alive', 'close', 'Keep-Alive', 'Close']

/** RFC 9110 7.6.3: the protocol in which the message was received, and a pseudonym. */
export const VIA = '1.1 sallyport'

/** The headers that an upstream's Connection names, in lower case; undefined where it names none that would otherwise pass. */
function namedInConnection(connection: string): ReadonlySet<string> | undefined {
  if (connection === 'keep-alive' || connection === 'close') return undefined
  const named = new Set(connection.split(',').map((option) => option.trim().toLowerCase()))
  return namesMore(named) ? named : undefined
}

/**
 * Whether Connection names anything that would otherwise pass: `close` and hop-by-hop headers never pass, and are nearly always all that it names.
 */
function namesMore(connectionOptions: ReadonlySet<string>): boolean {
  for (const option of connectionOptions) {
    if (option !== 'close' && option !== '' && !HOP_BY_HOP.has(option)) return true
  }
  return false
}

function isAmong(name: string, named: ReadonlySet<string>): boolean {
  return named.has(name.toLowerCase()) || named.has(fold(name))
}

/**
 * Remembers the verdict on each spelling. Their number and length are bounded, since clients choose the names. A full memory is emptied, so that
 * clients with ever new names cannot keep the verdicts on all others out for good.
 *
 * Indexed by length and not in a Map: before V8 looks a string up in a Map it interns it, anew for each name of each message (docs/performance-log.md).
 */
function remember<T>(judge: (name: string) => T): (name: string) => T {
  const byLength = Array.from(
    { length: MAX_REMEMBERED_LENGTH + 1 },
    (): { readonly name: string; readonly verdict: T }[] => [],
  )
  return (name) => {
    const verdicts = byLength[name.length]
    if (verdicts === undefined) return judge(name)
    for (const known of verdicts) if (isSame(known.name, name)) return known.verdict
    const verdict = judge(name)
    if (verdicts.length >= MAX_OF_ONE_LENGTH) verdicts.length = 0
    // A copy: the name may be a slice that would keep its whole head in memory, with all its secrets.
    verdicts.push({ name: Buffer.from(name, 'latin1').toString('latin1'), verdict })
    return verdict
  }
}

const MAX_REMEMBERED_LENGTH = 64
const MAX_OF_ONE_LENGTH = 16
