import { describe, expect, test } from '@jest/globals'
import { headersFor, headText, linesOf, reasonPhrase, wholeHeadText } from '../../../src/upstream/answer-head.ts'

describe('the reason phrase', () => {
  test.each([
    ['that is the standard one', 404, 'Not Found', undefined],
    ['that is missing', 404, undefined, undefined],
    ['that is empty', 404, '', ''],
    ['of its own', 404, 'Gone\tFishing', 'Gone\tFishing'],
    ['beyond ASCII', 404, 'nicht verf\ufffdgbar', undefined],
    ['with characters that are CR LF in Latin-1', 404, 'a\u010d\u010aX: 1', undefined],
    ['with CR LF', 404, 'a\r\nX: 1', undefined],
    ['with NUL', 404, 'a\0', undefined],
  ])('%s', (_case, status, message, expected) => {
    expect(reasonPhrase(status, message)).toBe(expected)
  })
})

describe('a head as text', () => {
  test('with all its headers', () => {
    expect(headText(200, 'Fine', ['A', '1', 'a', '\t\xe9'])).toBe('HTTP/1.1 200 Fine\r\nA: 1\r\na: \t\xe9\r\n\r\n')
  })
  test('with the standard phrase, or none for an unknown status', () => {
    expect(headText(403, 'verf\ufffd', [])).toBe('HTTP/1.1 403 Forbidden\r\n\r\n')
    expect(headText(599, undefined, [])).toBe('HTTP/1.1 599 \r\n\r\n')
  })
  test.each([
    ['CR', 'X', 'a\rb'],
    ['LF', 'X', 'a\nb'],
    ['NUL', 'X', 'a\0b'],
    ['what becomes LF in Latin-1', 'X', 'a\u010ab'],
    ['a name with CR LF', 'X\r\nY', 'a'],
    ['a name with a colon', 'X:', 'a'],
    ['an empty name', '', 'a'],
  ])('not with %s', (_case, name, value) => {
    expect(() => headText(200, undefined, [name, value])).toThrow(
      expect.objectContaining({ code: 'GW_UPSTREAM_RESPONSE' }),
    )
  })
})

describe('a head on a connection that is kept', () => {
  const persistence = 'Connection: keep-alive\r\n'
  test('tells so, and the date where the upstream did not', () => {
    const dated = ['content-length', '1', 'DATE', 'now']
    expect(wholeHeadText(200, undefined, linesOf(dated), persistence)).toBe(
      'HTTP/1.1 200 OK\r\ncontent-length: 1\r\nDATE: now\r\nConnection: keep-alive\r\n\r\n',
    )
    expect(wholeHeadText(200, undefined, linesOf(['Content-Length', '1']), persistence)).toMatch(
      /^HTTP\/1\.1 200 OK\r\nContent-Length: 1\r\nDate: \w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT\r\nConnection: keep-alive\r\n\r\n$/,
    )
  })
  test('needs no length where there cannot be a body', () => {
    expect(wholeHeadText(204, undefined, linesOf(['A', '1']), persistence, true)).toMatch(
      /^HTTP\/1\.1 204 No Content\r\nA: 1\r\n/,
    )
  })
  test('is none where its length is not told', () => {
    expect(wholeHeadText(200, undefined, linesOf(['A', 'content-length']), persistence)).toBeUndefined()
  })
})

test.each([
  [204, ['A', '1', 'B', 'content-length']],
  [101, ['A', '1', 'B', 'content-length']],
  [304, ['A', '1', 'Content-Length', '5', 'B', 'content-length']],
  [200, ['A', '1', 'Content-Length', '5', 'B', 'content-length']],
])('the headers of a %i', (status, expected) => {
  expect(headersFor(status, ['A', '1', 'Content-Length', '5', 'B', 'content-length'])).toEqual(expected)
})
