import { describe, expect, test } from '@jest/globals'
import { ServerNames } from '../../../src/routing/server-names.ts'

const names = new ServerNames(
  [
    ['www.example.org', 'exact'],
    ['*.example.org', 'suffix'],
    ['*.deep.example.org', 'longer suffix'],
    ['www.*', 'prefix'],
    ['www.example.*', 'longer prefix'],
    ['.dot.example', 'dot'],
    ['', 'nameless'],
    ['[::1]', 'literal'],
  ] as const,
  'default' as string,
)

describe('nginx’s order: exact, longest *.suffix, longest prefix.*, default', () => {
  test.each([
    ['www.example.org', 'exact'],
    ['api.example.org', 'suffix'],
    ['a.b.example.org', 'suffix'],
    ['www.sub.example.org', 'suffix'],
    ['a.deep.example.org', 'longer suffix'],
    ['deep.example.org', 'suffix'],
    ['example.org', 'default'],
    ['xexample.org', 'default'],
    ['www.example.net', 'longer prefix'],
    ['www.example.co.uk', 'longer prefix'],
    ['www.other.net', 'prefix'],
    ['www', 'default'],
    ['dot.example', 'dot'],
    ['a.dot.example', 'dot'],
    ['', 'nameless'],
    ['[::1]', 'literal'],
    ['*.example.net', 'default'],
    ['.', 'default'],
    ['..', 'default'],
    ['__proto__', 'default'],
    ['constructor', 'default'],
  ])('%s', (name, expected) => {
    expect(names.find(name)).toBe(expected)
  })

  test('no name at all is the default', () => {
    expect(names.find(undefined)).toBe('default')
  })
})

test.each(['*', '*.', '.*', '.', 'a.*.b', '*a.example', 'a*', '*.a.*', '~^www', 'A.example', 'a b'])(
  'a malformed name is refused with what to write instead: %j',
  (name) => {
    expect(() => new ServerNames([[name, 1]], 0)).toThrow(/server name .*: write a lower-case name/)
  },
)

test('a name in two servers is refused, twice in one is not', () => {
  expect(
    () =>
      new ServerNames(
        [
          ['a', 1],
          ['a', 2],
        ] as const,
        0 as number,
      ),
  ).toThrow('"a" belongs to two servers')
  expect(
    () =>
      new ServerNames(
        [
          ['*.a', 1],
          ['.a', 2],
        ] as const,
        0 as number,
      ),
  ).toThrow('".a" belongs to two servers')
  expect(
    new ServerNames(
      [
        ['a', 1],
        ['a', 1],
      ],
      0,
    ).find('a'),
  ).toBe(1)
})
