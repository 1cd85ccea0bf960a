import { readFileSync } from 'node:fs'
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { Places, pathTo } from '../../../src/config/place.ts'
import { readPlainYaml } from '../../../src/config/plain-yaml.ts'
import { readByLibrary, readYaml } from '../../../src/config/yaml-reader.ts'
import { atOnce } from '../../../src/slices.ts'

const RUNS = Number(process.env.PLAIN_RUNS ?? 500)

// biome-ignore lint/suspicious/noTemplateCurlyInString: it is what a user writes.
const expand = (text: string, path: string) => text.replaceAll('${X}', `x at ${path}`)

/** The values of a text, and where each of them stands. */
function readBy(reader: 'whoever can' | 'the library', text: string) {
  const places = new Places('file')
  const options = { source: 'file', places, expand }
  const { tree, problems } = atOnce(
    reader === 'the library' ? readByLibrary(text, options) : readYaml(Buffer.from(text), options),
  )
  return { tree, problems, places: [...pathsOf(tree, '')].map((path) => places.locate(path)) }
}

function* pathsOf(value: unknown, path: string): Generator<string> {
  if (path !== '') yield path
  if (Array.isArray(value)) for (const [index, each] of value.entries()) yield* pathsOf(each, pathTo(path, index))
  else if (typeof value === 'object' && value !== null)
    for (const [key, each] of Object.entries(value)) yield* pathsOf(each, pathTo(path, key))
}

const isPlain = (text: string) => atOnce(readPlainYaml(text, expand)) !== undefined

const PLAIN = [
  ['maps in maps', 'a:\n  b:\n    c: 1\n  d: two\ne: 3'],
  ['lists, indented or not', 'a:\n  - 1\n  - two\nb:\n- x: 1\n  y: 2\n-   z:\n    - 3\nc: {}'],
  ['brackets', 'a: { b: [c, "d", {e: f}], g: {} } # so\nh: []'],
  ['brackets over lines', 'a: [\n    1, # one\n\n    2,\n  ]\nb:\n  - { x: 1,\n      y: 2 }'],
  [
    'texts of all kinds',
    `a: https://host:80/x?y=z&w\nb: "q: #"\nc: 'r - s'\nd: Straße 1 \ne: a, b] }\nf: 127.0.0.1:80\ng: 2026-01-02`,
  ],
  ['what is no text', 'a: true\nb: false\nc: null\nd: ~\ne: 0\nf: 123\ng:\nh: yes'],
  // biome-ignore lint/suspicious/noTemplateCurlyInString: it is what a user writes.
  ['variables', 'a: ${X}\nb: [1, "${X}"]\nc:\n  - d: $${X}'],
  ['comments', '# first\n\na: 1 # one\n  # deeper\nb: # nothing\nc:\n# before\n  - d\n # between\n  - e\n# last'],
  ['JSON', '{"a":1,"b":[true,null,{"c":"d"}],\n"e" : "f"}'.replace(' :', ':')],
  ['items below their dashes', 'a:\n  -\n    b: 1\n    c: 2\n  - # so\n\n   d: 3\ne: 4'],
  [
    'texts of several lines',
    'a: |\n  one\n   two\n\n  # three\n  four \n\n# five\nb:\n  - |\n   x\n  - c: | \n      y: z\n    d: 1\n',
  ],
  ['nothing', '# nothing'],
  ['keys with dots', 'a.b: 1\n"c d": 2\n__proto__: 3\nconstructor: { toString: 4 }'],
] as const

describe('plain YAML', () => {
  test.each(PLAIN)('%s', (_what, text) => {
    expect(isPlain(text)).toBe(true)
    expect(readBy('whoever can', text)).toEqual(readBy('the library', text))
  })

  test.each([
    ['anchors and aliases', 'a: &x 1\nb: *x'],
    ['tags', 'a: !!str 1'],
    ['merged maps', 'a:\n  <<: { b: 1 }'],
    ['merged maps in quotes', 'a: { "<<": { b: 1 } }'],
    ['a key that stands there twice', 'a: 1\na: 2'],
    ['a key that stands there twice, in brackets', 'a: { b: 1, b: 2 }'],
    ['texts over lines', 'a: one\n  two'],
    ['texts over lines in brackets', 'a: [one\n  two]'],
    ['texts over lines in quotes', 'a: "one\n  two"'],
    ['escapes', 'a: "\\n"'],
    ['a quote in single quotes', "a: 'it''s'"],
    ['texts of several lines without an end', 'a: |\n  one'],
    ['texts of several lines that are folded', 'a: >\n  one\n'],
    ['texts of several lines without the last break', 'a: |-\n  one\n'],
    ['texts of several lines that begin with an empty one', 'a: |\n\n  one\n'],
    ['texts of several lines with blanks alone on one', 'a: |\n  one\n   \n  two\n'],
    ['texts of several lines that end deeper than their key', 'a:\n  b: |\n     one\n   c: 1\n'],
    ['texts of several lines as far left as their key', 'a:\n  b: |\n  one\n'],
    ['tabs', 'a:\n\t- 1'],
    ['line breaks of Windows', 'a: 1\r\nb: 2'],
    ['blanks that look like one', 'a:\u00a0 1'],
    ['several documents', 'a: 1\n---\nb: 2'],
    ['the end of a document', 'a: 1\n...\nb: 2'],
    ['the end of a document in JSON', '{"a": [\n...\n]}'],
    ['a comment right behind a quote', 'a: "b"#c'],
    ['a comment right behind a bracket', 'a: [b]#c'],
    ['a pair in a list in brackets', 'a: [b: c]'],
    ['a key without a value in a list in brackets', 'a: [b:]'],
    ['what is indented less than the list it follows', 'a:\n    - 1\n  - 2'],
    ['a map deeper than the key before it', 'a: 1\n  b: 2'],
    ['a directive', '%YAML 1.2\n---\na: 1'],
    ['odd numbers', 'a: 0x10\nb: 007'],
    ['more numbers', 'a: 1.5'],
    ['still more numbers', 'a: +1'],
    ['what is indented wrongly', 'a:\n    b: 1\n  c: 2'],
    ['a bracket that stands too far left', 'a:\n  b: [\n  1\n  ]'],
    ['a bracket that is not closed', 'a: [1'],
    ['two colons', 'a: b: c'],
    ['keys that are no text', 'null: 1'],
    ['keys without a value in brackets', 'a: { b, c: }'],
    ['lists in lists', 'a:\n  - - 1'],
    ['items with nothing in them', 'a:\n  -\n  - 1'],
    ['a list', '- 1'],
    ['a text', 'a'],
    ['what is nested deeply', `a: ${'['.repeat(40)}${']'.repeat(40)}`],
  ])('%s is left to the library', (_what, text) => {
    expect(isPlain(text)).toBe(false)
    expect(readBy('whoever can', text)).toEqual(readBy('the library', text))
  })

  test('the default configuration', () => {
    const text = readFileSync('conf/sallyport.yaml', 'utf8')
    expect(isPlain(text)).toBe(true)
    expect(readBy('whoever can', text)).toEqual(readBy('the library', text))
  })
})

describe('whatever is taken for plain YAML is read as the library reads it', () => {
  const same = (text: string) => {
    if (isPlain(text)) expect(readBy('whoever can', text)).toEqual(readBy('the library', text))
  }

  test('lines of all kinds', () => {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is what a user writes.
    const word = fc.constantFrom('a', 'b', 'c d', '1', '~', 'true', '"q"', "'s'", 'x:y', '/p', '-', '...', '${X}', 'é')
    const flow = fc.constantFrom('[', ']', '{', '}', ', ', ': ', ' #', '\n', '\n  ', ':', '"k":', 'k: ', '- ')
    const start = fc.tuple(
      fc.constantFrom('', ' ', '  ', '    '),
      fc.constantFrom('', '', '- ', '-  ', '# '),
      fc.constantFrom('', '', 'a:', 'b: ', '"c": ', 'd:  '),
    )
    const line = fc.tuple(start, fc.array(fc.oneof(word, word, flow), { maxLength: 4 }))
    const text = fc.array(line, { maxLength: 8 }).map((all) => all.map(([a, b]) => a.join('') + b.join('')).join('\n'))
    fc.assert(fc.property(text, same), { numRuns: RUNS })
  })

  test('plain YAML with a few characters more, less or other', () => {
    const edit = fc.tuple(
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.nat(2),
      fc.constantFrom(...`ab01 :,#-[]{}"'.~&*!|>%@\`?<=$/\\\n\t`, '  ', '\n  ', ': ', '- '),
    )
    const text = fc.constantFrom(...PLAIN.map(([, each]) => each))
    fc.assert(
      fc.property(fc.tuple(text, text), fc.array(edit, { maxLength: 3 }), ([one, two], edits) => {
        let all = one.startsWith('{') || two.startsWith('{') ? one : `${one}\n${two.replaceAll(/^(?=\w)/gm, 'z')}`
        for (const [where, less, more] of edits) {
          const at = Math.floor(where * all.length)
          all = all.slice(0, at) + more + all.slice(at + less)
        }
        same(all)
      }),
      { numRuns: RUNS },
    )
  })
})
