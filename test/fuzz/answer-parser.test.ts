import { expect, test } from '@jest/globals'
import { type Reading, readAnswer } from '../support/answer-reading.ts'
import { NASTY } from '../support/nasty-fragments.ts'
import { readWithNode } from '../support/node-answer.ts'
import fc from '../support/random.ts'

/** Cases for each property; more for a long run by hand. */
const CASES = Number(process.env.FUZZ_CASES ?? 2_000)
/** A failure prints its seed; SEED repeats it. */
const SEED = process.env.FUZZ_SEED === undefined ? {} : { seed: Number(process.env.FUZZ_SEED) }

interface Case {
  readonly text: string
  /** Where the text is cut into pieces. */
  readonly cuts: readonly number[]
  readonly method: string
  readonly upgrade: boolean
}

const nasty = fc.constantFrom(...NASTY)
const TOKEN_CHARACTERS = [..."!#$%&'*+-.^_`|~0123456789AbCdEfXyZ"]
const name = fc
  .string({ unit: fc.constantFrom(...TOKEN_CHARACTERS), minLength: 1, maxLength: 20 })
  .filter((text) => !/^(?:content-length|transfer-encoding|connection|proxy-connection|upgrade)$/i.test(text))
const visible = fc.integer({ min: 0x21, max: 0xff }).filter((code) => code !== 0x7f)
const value = fc.array(fc.oneof({ weight: 9, arbitrary: visible }, fc.constant(0x20)), { maxLength: 20 })
const valueText = value.map((codes) => String.fromCharCode(...codes).trim())
const blanks = fc.constantFrom('', ' ', '\t', ' \t ')
const line = fc.tuple(name, blanks, valueText, blanks).map(([n, before, v, after]) => `${n}:${before}${v}${after}\r\n`)
const lines = fc.array(line, { maxLength: 6 })
const body = fc.oneof(valueText, nasty, fc.string({ unit: 'binary-ascii', maxLength: 40 }))

const extension = fc.constantFrom('', '', '', ';a', ';a=b', ';a="b c\\""', ';a;b=c')
const size = (length: number) => fc.constantFrom('', '0', '000').map((zeros) => zeros + length.toString(16))
const chunk = body
  .filter((text) => text !== '')
  .chain((text) => fc.tuple(size(text.length), extension, fc.constant(text)))
const chunkedBody = fc
  .tuple(fc.array(chunk, { maxLength: 4 }), size(0), extension, lines)
  .map(([chunks, last, ext, trailers]) => {
    const all = chunks.map(([digits, e, text]) => `${digits}${e}\r\n${text}\r\n`)
    return `${all.join('')}${last}${ext}\r\n${trailers.join('')}\r\n`
  })

/** The line that frames the body, and the body with its frame. */
const framed = fc.oneof(
  body.map((text) => [`Content-Length: ${text.length}\r\n`, text]),
  body.map((text) => [`content-length:00${text.length} \r\n`, text]),
  chunkedBody.map((text) => ['Transfer-Encoding: chunked\r\n', text]),
  body.map((text) => ['', text]),
)
const reason = fc.oneof(
  fc.constant(''),
  valueText.map((text) => ` ${text}`),
)
const connection = fc.constantFrom('', '', 'Connection: close\r\n', 'Connection: keep-alive\r\n')
const status = fc.oneof(fc.constantFrom(200, 204, 304), fc.integer({ min: 200, max: 599 }))
const interim = fc
  .tuple(fc.constantFrom(100, 102, 103), lines)
  .map(([code, fields]) => `HTTP/1.1 ${code} Interim\r\n${fields.join('')}\r\n`)

const whole = fc
  .record({
    interims: fc.array(interim, { maxLength: 2 }),
    minor: fc.constantFrom(0, 1, 1, 1),
    status,
    reason,
    before: lines,
    framed,
    connection,
    after: lines,
    method: fc.constantFrom('GET', 'GET', 'POST', 'HEAD'),
  })
  .map((a) => {
    const [framing, bytes] = a.framed as [string, string]
    const bodiless = a.method === 'HEAD' || a.status === 204 || a.status === 304
    const version = framing.startsWith('T') ? 1 : a.minor
    const fields = [...a.before, framing, a.connection, ...a.after].join('')
    const text = `${a.interims.join('')}HTTP/1.${version} ${a.status}${a.reason}\r\n${fields}\r\n${bodiless ? '' : bytes}`
    return { text, method: a.method, upgrade: false }
  })

const switching = fc
  .tuple(fc.shuffledSubarray(['Upgrade: websocket\r\n', 'Connection: x, upgrade\r\n', 'X: y\r\n']), body)
  .map(([fields, rest]) => ({
    text: `HTTP/1.1 101 Switching\r\n${fields.join('')}\r\n${rest}`,
    method: 'GET',
    upgrade: true,
  }))

/** A share of the text; doubles would nearly all be next to 0. */
const place = fc.integer({ min: 0, max: 9_999 }).map((share) => share / 10_000)
const cuts = fc.oneof(fc.constant([]), fc.array(place, { maxLength: 6 }), fc.constant('each byte' as const))

function cut(answer: Omit<Case, 'cuts'>, where: readonly number[] | 'each byte'): Case {
  const { length } = answer.text
  if (where === 'each byte') return { ...answer, cuts: Array.from({ length }, (_, i) => i) }
  return { ...answer, cuts: where.map((at) => Math.floor(at * length)).sort((a, b) => a - b) }
}

const plain = fc.tuple(whole, cuts).map(([answer, where]) => cut(answer, where))

const control = fc.constantFrom('\0', '\n', '\r', '\x0b', '\x1f', '\x7f')
/** What may be written behind the size of a chunk. */
const odd = fc.constantFrom(
  ';',
  ';a',
  '; a',
  ';a ',
  ';a="',
  ';\x80',
  ';a\x7f',
  ';a=b"',
  ' ',
  '\r',
  '\n',
  '\r\nContent-Length: 1',
  '\r\nX: y',
)
const change = fc.oneof(
  fc.record({ kind: fc.constant('insert' as const), at: place, text: nasty }),
  fc.record({ kind: fc.constant('replace' as const), at: place, text: nasty }),
  fc.record({ kind: fc.constant('insert' as const), at: place, text: control }),
  fc.record({ kind: fc.constant('size' as const), at: place, text: odd }),
  fc.record({ kind: fc.constant('line' as const), at: place, text: nasty }),
  fc.record({ kind: fc.constant('flip' as const), at: place, bit: fc.integer({ min: 0, max: 7 }) }),
  fc.record({ kind: fc.constant('delete' as const), at: place, count: fc.integer({ min: 1, max: 4 }) }),
)
type Change = typeof change extends fc.Arbitrary<infer T> ? T : never

function changed(text: string, what: Change): string {
  const at = Math.floor(what.at * text.length)
  const before = text.slice(0, at)
  switch (what.kind) {
    case 'insert':
      return before + what.text + text.slice(at)
    case 'replace':
      return before + what.text + text.slice(at + what.text.length)
    case 'line': {
      // Behind the end of some line: where a fragment is most likely to be read as what it looks like.
      const next = text.indexOf('\r\n', at) + 2
      return text.slice(0, next) + what.text + text.slice(next)
    }
    case 'size': {
      const sizes = [...text.matchAll(/(?<=\r\n)[0-9a-f]+/gi)].map((size) => size.index + size[0].length)
      const behind = sizes[Math.floor(what.at * sizes.length)] ?? at
      return text.slice(0, behind) + what.text + text.slice(behind)
    }
    case 'flip':
      return before + String.fromCharCode(text.charCodeAt(at) ^ (1 << what.bit)) + text.slice(at + 1)
    case 'delete':
      return before + text.slice(at + what.count)
  }
}

const fragments = fc.array(fc.oneof(nasty, line), { maxLength: 12 }).map((parts) => ({
  text: `HTTP/1.1 200 OK\r\n${parts.join('')}`,
  method: 'GET',
  upgrade: false,
}))
const mutated = fc
  .tuple(fc.oneof({ weight: 5, arbitrary: whole }, switching, fragments), fc.array(change, { maxLength: 3 }), cuts)
  .map(([answer, changes, where]) => cut({ ...answer, text: changes.reduce(changed, answer.text) }, where))

function pieces({ text, cuts: at }: Case): string[] {
  return [0, ...at].map((from, i) => text.slice(from, at[i] ?? text.length)).filter((piece) => piece !== '')
}

const seen = ({ interims, status, reason, headers, body, trailers, rest, complete }: Reading) => ({
  interims,
  status,
  reason,
  headers,
  body,
  trailers,
  rest,
  complete,
})

test('whatever our parser takes for an answer, Node takes for the same answer', async () => {
  let taken = 0
  const property = fc.asyncProperty(mutated, async (tried) => {
    const ours = readAnswer(pieces(tried), { ...tried, finish: true })
    if (!ours.complete && ours.rest === undefined) return
    taken += 1
    expect(seen(ours)).toEqual(seen(await readWithNode(pieces(tried), tried)))
  })
  await fc.assert(property, { numRuns: CASES, ...SEED })
  // A parser that refuses everything would agree too.
  expect(taken).toBeGreaterThan(CASES / 10)
}, 3_600_000)

test('a well-formed answer that Node takes is taken by our parser too', async () => {
  let taken = 0
  const property = fc.asyncProperty(plain, async (tried) => {
    const node = await readWithNode(pieces(tried), tried)
    if (!node.complete) return
    taken += 1
    const ours = readAnswer(pieces(tried), { ...tried, finish: true })
    expect(seen(ours)).toEqual(seen(node))
    expect(ours.error).toBeUndefined()
  })
  await fc.assert(property, { numRuns: CASES, ...SEED })
  expect(taken).toBeGreaterThan(CASES * 0.9)
}, 3_600_000)

test('where the pieces of an answer are cut makes no difference', () => {
  fc.assert(
    fc.property(mutated, (tried) => {
      const asked = { ...tried, finish: true }
      const { complete, error, ...ours } = readAnswer(pieces(tried), asked)
      const atOnce = readAnswer([tried.text], asked)
      expect(complete).toBe(atOnce.complete)
      expect(error === undefined).toBe(atOnce.error === undefined)
      if (complete)
        expect({ ...ours, reusable: true }).toEqual({
          ...atOnce,
          complete: undefined,
          error: undefined,
          reusable: true,
        })
    }),
    { numRuns: CASES, ...SEED },
  )
})
