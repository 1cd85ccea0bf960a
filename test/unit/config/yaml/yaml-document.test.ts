import { describe, expect, test } from '@jest/globals'
import { type Document, Lexer, LineCounter, parseDocument as parseAtOnce } from 'yaml'
import { parseDocument } from '../../../../src/config/yaml/yaml-document.ts'
import { atOnce } from '../../../../src/slices.ts'
import fc from '../../../support/random.ts'

/** What comes of a text: its values with their places, and what is wrong with it. */
function outcome(document: Document.Parsed) {
  const problems = [...document.errors, ...document.warnings].map(({ code, pos }) => `${code} ${pos[0]}`)
  return { problems: problems.sort(), contents: problems.length > 0 ? undefined : placed(document.contents) }
}

function placed(node: unknown): unknown {
  const { range, items, key, value } = (node ?? {}) as {
    range?: number[]
    items?: unknown[]
    key?: unknown
    value?: unknown
  }
  if (items) return { at: range?.[0], items: items.map(placed) }
  if (key) return { key: placed(key), value: value && placed(value) }
  return { at: range?.[0], value }
}

const inSlices = (text: string) => outcome(atOnce(parseDocument(text, new LineCounter())))
const whole = (text: string) =>
  outcome(parseAtOnce(text, { prettyErrors: false, uniqueKeys: false, logLevel: 'error', merge: false }))

const list = (length: number, item: (i: number) => string) => Array.from({ length }, (_, i) => item(i)).join('\n')

describe('a document that is read in slices is the one that is read at once', () => {
  test.each([
    ['nothing', ''],
    ['comments', '# a\n\n# b\n'],
    [
      'long lists',
      `a:\n${list(100, (i) => `  - name: n${i}\n    paths: [/${i}/]`)}\nb:\n${list(50, (i) => `- ${i}`)}\nc: 1\n`,
    ],
    ['comments between items', `a:\n${list(60, (i) => `  # before ${i}\n  - x: ${i} # beside\n\n`)}\n# end\n`],
    ['empty items', `a:\n${list(60, () => '  -')}\n`],
    ['anchors and aliases', `a:\n  - &x { y: 1 }\n${list(60, () => '  - *x')}\n`],
    ['tags', `a: !!seq\n${list(60, (i) => `  - !!str ${i}`)}\n`],
    ['an unknown tag', `a:\n${list(60, (i) => `  - !odd ${i}`)}\n`],
    [
      'an item that is indented wrongly',
      `a:\n${list(40, (i) => `  - ${i}`)}\n   - wrong\n${list(40, (i) => `  - ${i}`)}\n`,
    ],
    ['a tab', `a:\n${list(40, (i) => `  - ${i}`)}\n\t- wrong\n`],
    ['a bracket that is not closed', `a:\n${list(40, (i) => `  - [${i}]`)}\n  - [1\n  - 2\nb: 1\n`],
    ['a quote that is not closed', `a:\n${list(40, (i) => `  - '${i}'`)}\n  - 'open\nb: 1\n`],
    ['two documents', `a:\n${list(40, (i) => `  - ${i}`)}\n---\nb: 1\n`],
    ['block texts', `a:\n${list(40, (i) => `  - |\n    text ${i}\n     more\n  - >-\n    folded`)}\n`],
    ['lists in lists', `a:\n${list(40, (i) => `  - - ${i}\n    - x`)}\n`],
    [
      'a long list in a list',
      `a:\n  - name: b\n    routes:\n${list(50, (i) => `      - { x: ${i} }`)}\n    c: 1\n  - ${'-'} 1\n`,
    ],
    [
      'long lists in the items of a long list',
      `a:\n${list(60, (i) => `  - name: n${i}\n    routes:\n${list(i % 7 === 0 ? 50 : 2, (j) => `      - { x: ${j} }`)}`)}\nb: 1\n`,
    ],
    [
      'a long list in the last item of a long list',
      `${list(100, (i) => `- ${i}`)}\n-\n${list(100, (i) => `  - ${i}`)}\n`,
    ],
    ['an anchor far behind a long list', `a:\n${list(90, (i) => `  - ${i}`)}\nb: &x 1\nc: *x\n`],
    ['a mistake far behind a long list', `a:\n${list(90, (i) => `  - ${i}`)}\nb: [1\nc: 1\n`],
    ['a mistake in the middle of a long list', `a:\n${list(90, (i) => `  - ${i === 30 ? '{ x: [ }' : i}`)}\nb: 1\n`],
    ['a list at the root', list(60, (i) => `- ${i}`)],
  ])('%s', (_what, text) => {
    expect(inSlices(text)).toEqual(whole(text))
  })

  test('and plain ones are read once', () => {
    const routes = list(50, (j) => `      - { x: ${j} }`)
    const text = `a:\n${list(60, (i) => `  - name: n${i}\n    routes:\n${routes}`)}\nb: 1\n`
    const reading = parseDocument(text, new LineCounter())
    let pauses = 0
    while (!reading.next().done) pauses++
    expect(pauses).toBe(Math.floor([...new Lexer().lex(text)].length / 32))
  })

  test('with more long lists than are read one by one', () => {
    const text = list(1010, (i) => `k${i}:\n${list(45, (j) => `- ${j}`)}`)
    expect(JSON.stringify(inSlices(text))).toBe(JSON.stringify(whole(text)))
  })

  test('whatever stands in it', () => {
    const line = fc.stringMatching(/^ {0,4}(- )?[a-c]?:? ?[-[\]{},'"#|>:&*!%x1]{0,4}$/)
    const text = fc.array(line, { maxLength: 12 })
    fc.assert(
      fc.property(text, text, (before, after) => {
        const long = list(45, (i) => `- x: ${i}`)
        const all = [...before, 'list:', long, ...after].join('\n')
        expect(inSlices(all)).toEqual(whole(all))
      }),
      { numRuns: 300 },
    )
  })
})

test('a document of more words and signs than any has is refused before it is read to its end, and a long text is one of them', () => {
  const read = (text: string) => () => atOnce(parseDocument(text, new LineCounter(), 1000))
  expect(read(`a: [${','.repeat(10_000)}]`)).toThrow(
    'holds more than 1000 words and signs; no configuration needs so many',
  )
  expect(read(`a: |\n${'  a line, of a text\n'.repeat(10_000)}`)).not.toThrow()
})

test.each(['[', '{', '{a: ', '- ', '? ', ': '])(
  'a document of %j alone is refused before it is read to its end',
  (open) => {
    const slices = parseDocument(open.repeat(100_000), new LineCounter())
    let count = 0
    const read = () => {
      while (!slices.next().done) count += 1
    }
    expect(read).toThrow(RangeError)
    expect(count).toBeLessThan(5000)
  },
)
