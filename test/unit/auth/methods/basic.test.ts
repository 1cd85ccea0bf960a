import { expect, test } from '@jest/globals'
import { isBasicHeader, readBasic } from '../../../../src/auth/methods/basic.ts'
import fc from '../../../support/random.ts'
import { basic } from '../support.ts'

test.each([
  [basic('ada', 'secret'), 'ada', 'secret'],
  [basic('ada', ''), 'ada', ''],
  [basic('ada', 'a:b'), 'ada', 'a:b'],
  [basic('Grüße', '世界'), 'Grüße', '世界'],
  // RFC 7617 2.
  ['Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==', 'Aladdin', 'open sesame'],
  ['bAsIc   QWxhZGRpbjpvcGVuIHNlc2FtZQ', 'Aladdin', 'open sesame'],
])('%s', (value, name, secret) => {
  expect(readBasic(['X', 'y', 'AUTHORIZATION', value])).toEqual({ status: 'given', name, secret })
})

test.each([
  ['nothing', []],
  ['another scheme', ['Authorization', 'Bearer abc']],
  ['two of another scheme', ['Authorization', 'Bearer abc', 'Authorization', 'Digest x']],
  ['a scheme that begins alike', ['Authorization', 'Basically QWxhZGRpbjpvcGVuIHNlc2FtZQ==']],
])('%s says nothing', (_, headers) => {
  expect(readBasic(headers).status).toBe('absent')
})

test.each([
  ['no credentials', 'Basic'],
  ['no colon', `Basic ${Buffer.from('ada').toString('base64')}`],
  ['no name', basic('', 'secret')],
  ['a line break', basic('ada', 'x\ny')],
  ['a NUL', basic('ada\0', 'x')],
  ['no UTF-8', `Basic ${Buffer.from([0x61, 0x3a, 0xc3]).toString('base64')}`],
  ['base64url', `Basic ${Buffer.from('ada:???>>>').toString('base64url')}`],
  ['more after it', `${basic('ada', 'secret')} x`],
  ['bits that are left over', 'Basic YTpi1'],
  ['more padding than there is', 'Basic YTpi='],
  ['less padding than there is', 'Basic YTpiYw='],
])('%s is denied', (_, value) => {
  expect(readBasic(['Authorization', value]).status).toBe('denied')
})

test.each([
  ['two names', [basic('ada', 'secret'), basic('bob', 'secret')]],
  ['the same twice', [basic('ada', 'secret'), basic('ada', 'secret')]],
  ['another scheme before it', ['Bearer abc', basic('ada', 'secret')]],
  ['another scheme after it', [basic('ada', 'secret'), 'Bearer abc']],
])('%s in two headers are denied: which of them counts somebody else may see otherwise', (_, values) => {
  const headers = values.flatMap((value) => ['Authorization', value])
  expect(readBasic(headers)).toMatchObject({ status: 'denied', reason: 'more than one Authorization' })
})

test('what may be read as a password is a credential, and nothing else is', () => {
  for (const value of [basic('ada', 'secret'), 'bAsIc x', 'Basic'])
    expect(isBasicHeader('authorization', value)).toBe(true)
  expect(isBasicHeader('authorization', 'Bearer x')).toBe(false)
  expect(isBasicHeader('x-authorization', basic('ada', 'secret'))).toBe(false)
})

const credentials = fc.tuple(fc.string(), fc.string()).map((pair) => Buffer.from(pair.join(':')).toString('base64'))
const changed = fc
  .tuple(credentials, fc.nat(100), fc.constantFrom('', '=', 'A', 'B', '_', ' '))
  .map(([text, at, put]) => text.slice(0, at) + put + text.slice(at + 1))

test('whatever is accepted has one reading only, and nothing throws', () => {
  let given = 0
  fc.assert(
    fc.property(fc.oneof(fc.string(), credentials, changed), (text) => {
      const read = readBasic(['Authorization', `Basic ${text}`])
      if (read.status !== 'given') return
      given += 1
      const again = Buffer.from(`${read.name}:${read.secret}`).toString('base64')
      expect([again, again.replace(/=+$/, '')]).toContain(text.trim())
    }),
    { numRuns: 500 },
  )
  // Whoever denies everybody would pass too.
  expect(given).toBeGreaterThan(100)
})
