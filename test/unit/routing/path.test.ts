import { describe, expect, test } from '@jest/globals'
import { hasDotSegment, normalizePath } from '../../../src/routing/path.ts'
import fc from '../../support/random.ts'
import { refusalOf } from './refusal.ts'

describe('paths that have one meaning', () => {
  test.each([
    ['/', '/'],
    ['/admin', '/admin'],
    ['/ADMIN', '/ADMIN'],
    ['/admin/', '/admin/'],
    ['/%61dmin', '/admin'],
    ['/%41%5a%5F%7e%2D', '/AZ_~-'],
    ['/admin;a=b', '/admin;a=b'],
    ['/;a=b', '/;a=b'],
    ['/admin%3ba', '/admin%3Ba'],
    ['//admin', '/admin'],
    ['///a////b//', '/a/b/'],
    ['//evil.example/p', '/evil.example/p'],
    ['/%2525', '/%2525'],
    ['/%252e%252e/admin', '/%252e%252e/admin'],
    ['/a%25%32%66', '/a%252f'],
    ['/caf%c3%a9', '/caf%C3%A9'],
    ['/overlong/%c0%ae%c0%ae/%C0%af', '/overlong/%C0%AE%C0%AE/%C0%AF'],
    ['/x/%ff', '/x/%FF'],
    ['/a%20b%3Fc%23d', '/a%20b%3Fc%23d'],
    ['/.well-known/acme', '/.well-known/acme'],
    ['/...', '/...'],
    ['/a./b../.c/..d', '/a./b../.c/..d'],
    [`/!"$&'()*+,-.:;<=>@[]^_\`{|}~`, `/!"$&'()*+,-.:;<=>@[]^_\`{|}~`],
  ])('%s', (raw, path) => {
    expect(normalizePath(raw)).toBe(path)
  })
})

describe('paths that backends read in more than one way are refused', () => {
  test.each([
    '/x/../admin',
    '/..',
    '/../',
    '/.',
    '/./admin',
    '/x/.',
    '/x/%2e%2e/admin',
    '/x/.%2E/admin',
    '/x/%2e/admin',
    '/x/%2e',
    '/x/..;/admin',
    '/x/..;a=b/admin',
    '/x/.;/admin',
    '/x/%2e%2e;/admin',
    '/x//../admin',
    '/..%2fadmin',
    '/x/..%2fadmin',
    '/admin%2f',
    '/admin%2F',
    '/x%5cadmin',
    '/x%5Cadmin',
    '/admin%00',
    '/admin%0a',
    '/admin%0D%0A',
    '/admin%09',
    '/admin%1f',
    '/admin%7f',
    '/x\\admin',
    '/\\admin',
    '/admin#x',
    '/%',
    '/%%36%36',
    '/%%',
    '/a%2',
    '/a%',
    '/a%zz',
    '/a%u0041',
    '/a%2%65',
    '/a b',
    '/a\0',
    '/a\t',
    '/a\r\nX: y',
    '/a\x7f',
    '/caf\xe9',
    '/\u212a',
  ])('%j', (raw) => {
    expect(refusalOf(() => normalizePath(raw))).toBe('GW_BAD_PATH')
  })
})

const piece = fc.constantFrom(
  '/',
  '.',
  '..',
  '%2e',
  '%2E',
  '%',
  '2',
  'e',
  'f',
  '%2f',
  '%25',
  '%61',
  'a',
  ';',
  '%c3',
  '//',
  '%5c',
  '\\',
)
const rawPath = fc.oneof(
  fc.array(piece, { maxLength: 12 }).map((pieces) => `/${pieces.join('')}`),
  fc.string({ unit: 'binary' }).map((text) => `/${text}`),
)

function normalized(raw: string): string | undefined {
  let path: string | undefined
  refusalOf(() => {
    path = normalizePath(raw)
  })
  return path
}

test('a path is either refused or one that no further reading changes', () => {
  fc.assert(
    fc.property(rawPath, (raw) => {
      const path = normalized(raw)
      if (path === undefined) return
      expect(normalizePath(path)).toBe(path)
      expect(path).toMatch(/^\/(?!\/)[!"$-[\]-~]*$/)
      expect(hasDotSegment(path)).toBe(false)
      expect(path).not.toMatch(/\/\/|%2[eEfF]|%5[cC]|%00|%[0-9A-F]?[a-f]/)
      // URL's own reading, which resolves dot segments and backslashes, agrees.
      expect(new URL(`https://h${path.replaceAll('?', '%3F')}`).pathname).toBe(
        new URL('https://h/').pathname + encode(path.slice(1)),
      )
    }),
    { numRuns: 2000 },
  )
})

/** The characters that URL escapes although they were raw. */
function encode(path: string): string {
  return path.replace(/["<>^`{}?]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)
}

test('spellings that differ in escapes of unreserved characters give one path', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...'abzAZ09-_~') }), fc.array(fc.boolean()), (text, escaped) => {
      const spelled = [...text].map((character, i) =>
        escaped[i] ? `%${character.charCodeAt(0).toString(16)}` : character,
      )
      expect(normalizePath(`/${spelled.join('')}`)).toBe(`/${text}`)
    }),
  )
})
