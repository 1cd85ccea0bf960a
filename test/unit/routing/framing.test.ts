import { describe, expect, test } from '@jest/globals'
import { readFraming } from '../../../src/routing/framing.ts'
import { refusalOf } from './refusal.ts'

describe('a body is framed by what both sides can only read in one way', () => {
  test.each([
    [undefined, undefined, 1, { kind: 'none' }],
    [undefined, undefined, 0, { kind: 'none' }],
    [undefined, '0', 1, { kind: 'length', length: 0 }],
    [undefined, '5', 0, { kind: 'length', length: 5 }],
    [undefined, '007', 1, { kind: 'length', length: 7 }],
    [undefined, '9007199254740991', 1, { kind: 'length', length: Number.MAX_SAFE_INTEGER }],
    ['chunked', undefined, 1, { kind: 'chunked' }],
    ['Chunked', undefined, 1, { kind: 'chunked' }],
  ])('Transfer-Encoding %j, Content-Length %j, HTTP/1.%d', (coding, length, minor, framing) => {
    expect(readFraming(coding, length, minor)).toEqual(framing)
  })
})

describe('framing that two readers could read in two ways is refused', () => {
  test.each([
    ['chunked', '5', 1],
    ['chunked', '0', 1],
    ['gzip', '5', 1],
    ['chunked', undefined, 0],
    ['gzip', undefined, 0],
    ['identity', undefined, 1],
    ['identity, chunked', undefined, 1],
    ['chunked, identity', undefined, 1],
    ['chunked, chunked', undefined, 1],
    ['', undefined, 1],
    ['chunked,', undefined, 1],
    [', chunked', undefined, 1],
    ['chunked;q=1', undefined, 1],
    ['"chunked"', undefined, 1],
    ['\x0bchunked', undefined, 1],
    ['gzip chunked', undefined, 1],
    [undefined, '', 1],
    [undefined, '+2', 1],
    [undefined, '-2', 1],
    [undefined, '2, 2', 1],
    [undefined, '0x10', 1],
    [undefined, '1e3', 1],
    [undefined, '2 ', 1],
    [undefined, '2.0', 1],
    [undefined, '\u0665', 1],
  ])('Transfer-Encoding %j, Content-Length %j, HTTP/1.%d', (coding, length, minor) => {
    expect(refusalOf(() => readFraming(coding, length, minor))).toBe('GW_BAD_REQUEST')
  })
})

test.each(['gzip', 'gzip, chunked', 'xchunked', 'chunked, deflate', 'x-unknown , chunked'])(
  'a transfer coding that we do not know is 501, as in nginx: %s',
  (coding) => {
    expect(refusalOf(() => readFraming(coding, undefined, 1))).toBe('GW_TRANSFER_CODING')
  },
)

test('a length that no number can hold exactly is too large', () => {
  expect(refusalOf(() => readFraming(undefined, '9007199254740993', 1))).toBe('GW_BODY_TOO_LARGE')
  expect(refusalOf(() => readFraming(undefined, '9'.repeat(400), 1))).toBe('GW_BODY_TOO_LARGE')
})
