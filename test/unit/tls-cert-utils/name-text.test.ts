import { describe, expect, test } from '@jest/globals'
import { readName } from '../../../src/tls-cert-utils/distinguished-name.ts'
import { keyOfName, keyOfWrittenName } from '../../../src/tls-cert-utils/name-key.ts'
import { parseNameText, type WrittenAttribute, type WrittenRdn } from '../../../src/tls-cert-utils/name-text.ts'
import { nameOf } from '../../support/names.ts'
import fc from '../../support/random.ts'

/** `TYPE=value` of each attribute, RDN by RDN. */
function parsed(text: string): string[][] {
  return parseNameText(text).map((rdn) => rdn.map(({ type, value, isHex }) => `${type}${isHex ? '#' : '='}${value}`))
}

describe('a written name is parsed as RFC 4514 says', () => {
  test.each([
    ['', []],
    ['  ', []],
    [
      'cn=Jim\\2C \\22Hasse Hö\\22 Hansson!,dc=dummy,dc=com',
      [['cn=Jim, "Hasse Hö" Hansson!'], ['dc=dummy'], ['dc=com']],
    ],
    ['UID=jsmith,DC=example,DC=net', [['UID=jsmith'], ['DC=example'], ['DC=net']]],
    ['OU=Sales+CN=J. Smith,DC=example,DC=net', [['OU=Sales', 'CN=J. Smith'], ['DC=example'], ['DC=net']]],
    ['  CN  =  Lu\\C4\\8Di\\C4\\87  ', [['CN=Lučić']]],
    ['CN=\\ two\\  , O = A \\, B', [['CN= two '], ['O=A , B']]],
    ['1.2.840.113549.1.9.1=a@b', [['1.2.840.113549.1.9.1=a@b']]],
    ['CN=#0c0161', [['CN#0c0161']]],
    ['CN=#0C01AB', [['CN#0c01ab']]],
    ['CN=\\#0c', [['CN=#0c']]],
    ['CN=a\\\\ , O=b', [['CN=a\\'], ['O=b']]],
    ['CN=a\\\\\\ , O=b', [['CN=a\\ '], ['O=b']]],
    ['CN=\\EF\\BB\\BFada', [['CN=\ufeffada']]],
    ['CN=a=b', [['CN=a=b']]],
    ['CN=ada,OU=', [['CN=ada'], ['OU=']]],
    ['CN="x"', [['CN="x"']]],
    ['CN=a;O=b', [['CN=a;O=b']]],
  ])('%s', (text, expected) => {
    expect(parsed(text)).toEqual(expected)
  })

  test.each([
    '*',
    'cn=Jim\\0Test',
    'cn=Jim\\0',
    'DC=example,=net',
    'test,DC=example,DC=com',
    '=test,DC=example',
    'CN=a,',
    'CN=#',
    'CN=#0',
    'CN=\\ff',
    'CN=a\\',
  ])('%s is none', (text) => {
    expect(() => parseNameText(text)).toThrow()
  })
})

/** A name as RFC 4514 writes it. */
function printNameText(rdns: readonly WrittenRdn[]): string {
  return rdns.map((rdn) => rdn.map(printAttribute).join('+')).join(',')
}

function printAttribute({ type, value }: WrittenAttribute): string {
  const escaped = value
    .replace(/[\\,+"<>;]/g, '\\$&')
    .replace(/\0/g, '\\00')
    .replace(/^[ #]/, '\\$&')
    .replace(/(?<!^) $/, '\\ ')
  return `${type}=${escaped}`
}

const value = fc.string({ unit: 'binary', minLength: 1, maxLength: 12 }).filter((text) => text.isWellFormed())
const type = fc.constantFrom('CN', 'OU', 'O', 'L', 'ST', 'C', 'UID', 'title')
const rdn = fc.array(fc.record({ type, value, isHex: fc.constant(false) }), { minLength: 1, maxLength: 3 })
const name = fc.array(rdn, { minLength: 1, maxLength: 5 })

test('printing and parsing gives back the name', () => {
  fc.assert(fc.property(name, (rdns) => expect(parseNameText(printNameText(rdns))).toEqual(rdns)))
})

test('the key of a written name is that of the certificate, in any order', () => {
  fc.assert(
    fc.property(name, fc.infiniteStream(fc.nat()), (rdns, random) => {
      const der = nameOf(...rdns.map((each) => each.map(({ type, value }) => [type, value] as const)))
      const shuffled = rdns.map((each) => ({ each, at: random.next().value })).sort((a, b) => a.at - b.at)
      const text = printNameText(shuffled.map(({ each }) => each))
      expect(keyOfWrittenName(parseNameText(text))).toBe(keyOfName(readName(der)))
    }),
  )
})

test('names that differ have different keys', () => {
  const canonical = (rdns: readonly { type: string; value: string }[][]) =>
    JSON.stringify(
      rdns
        .map((each) =>
          each
            .map(({ type, value }) => JSON.stringify([type, value]))
            .sort()
            .join(),
        )
        .sort(),
    )
  fc.assert(
    fc.property(name, name, (one, other) => {
      expect(keyOfWrittenName(one) === keyOfWrittenName(other)).toBe(canonical(one) === canonical(other))
    }),
  )
})

test.each([
  ['CN=a,CN=a,O=n', 'CN=a,O=n'],
  ['CN=a+O=n', 'CN=a,O=n'],
  ['CN=a,O=n', 'CN=A,O=n'],
  ['CN=a  b', 'CN=a b'],
  ['CN=#0c0161', 'CN=\\#0c0161'],
])('%s is not %s', (one, other) => {
  expect(keyOfWrittenName(parseNameText(one))).not.toBe(keyOfWrittenName(parseNameText(other)))
})

test('types are known in any case, by identifier, and a type that nobody knows is refused', () => {
  const key = (text: string) => keyOfWrittenName(parseNameText(text))
  expect(key('cn=a,emailaddress=b@c')).toBe(key('2.5.4.3=a, E=b@c'))
  expect(() => key('XYZ=a')).toThrow('type')
})
