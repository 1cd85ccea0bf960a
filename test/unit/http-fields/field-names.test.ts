import { expect, test } from '@jest/globals'
import { isNamed, isSame } from '../../../src/http-fields/field-names.ts'

test.each([
  ['host', true],
  ['HOST', true],
  ['hOsT', true],
  ['hos', false],
  ['hosts', false],
  ['hosu', false],
  ['\x28ost', false],
  ['h\xcfst', false],
  ['', false],
])('%j is host: %j', (name, expected) => {
  expect(isNamed(name, 'host')).toBe(expected)
})

test('only letters have another case', () => {
  expect(isNamed('@[`{', '`{@[')).toBe(false)
  expect(isNamed('A-B', 'a\rb')).toBe(false)
  expect(isNamed('\u212a', 'k')).toBe(false)
})

const LONG = 'if-modified-since'

test.each(['short', 'twelve-chars', 'thirteen-char', LONG])('%s is the same where it was cut out of a text', (text) => {
  const cut = `GET / ${text}: x`.slice(6, 6 + text.length)
  expect(isSame(text, cut)).toBe(true)
  expect(isSame(text, `${text}x`)).toBe(false)
  expect(isSame(text, text.slice(0, -1))).toBe(false)
  for (let i = 0; i < text.length; i++) expect(isSame(text, `${text.slice(0, i)}_${text.slice(i + 1)}`)).toBe(false)
})
