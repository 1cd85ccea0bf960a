import { describe, expect, test } from '@jest/globals'
import { valuesOf, withoutKeys } from '../../../src/auth/query-keys.ts'
import fc from '../../support/random.ts'

test.each([
  ['', '', []],
  ['?', '?', []],
  ['?apikey=a', '', ['a']],
  ['?a=1&apikey=a&b=2', '?a=1&b=2', ['a']],
  ['?apikey=a&apikey=b', '', ['a', 'b']],
  ['?apikey', '', ['apikey']],
  ['?apikey=', '', ['']],
  ['?%61%70ikey=a+b%20c%2B', '', ['a b c+']],
  ['?APIKEY=a&apikeys=b&xapikey=c', '?APIKEY=a&apikeys=b&xapikey=c', []],
  ['?q=apikey&x=%zz', '?q=apikey&x=%zz', []],
  ['?x=%20&&y', '?x=%20&&y', []],
])('of "%s" the rest is "%s"', (query, rest, values) => {
  expect([withoutKeys(query, new Set(['apikey'])), valuesOf(query, 'apikey')]).toEqual([rest, values])
})

describe('for any query', () => {
  const piece = fc.oneof(
    fc.constantFrom('apikey', '%61pikey', 'api%6Bey', 'a', '=', '&', '%', '+', '%3D', '%26', '%25'),
    fc.string(),
  )
  const query = fc.array(piece).map((pieces) => `?${pieces.join('').replaceAll('#', '')}`)

  test('what is left holds no key, and nothing else is touched', () => {
    fc.assert(
      fc.property(query, (text) => {
        const keys = new Set(['apikey'])
        const rest = withoutKeys(text, keys)
        expect(valuesOf(rest, 'apikey')).toEqual([])
        expect(withoutKeys(rest, keys)).toBe(rest)
        if (valuesOf(text, 'apikey').length === 0) expect(rest).toBe(text)
      }),
    )
  })

  test('a form that reads the rest finds no key either', () => {
    fc.assert(
      fc.property(query, (text) => {
        expect(new URLSearchParams(withoutKeys(text, new Set(['apikey']))).has('apikey')).toBe(false)
      }),
    )
  })
})
