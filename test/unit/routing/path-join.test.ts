import { expect, test } from '@jest/globals'
import { joinPath } from '../../../src/routing/path-join.ts'

// From the table in Kong's documentation of path_handling v0, and its corners.
test.each([
  // base, path, matched prefix or undefined (strip_path off), expected
  ['/', '/', '/', '/'],
  ['/', '/foo', '/', '/foo'],
  ['/', '/foo', '/foo', '/'],
  ['/', '/foo/', '/foo', '/'],
  ['/', '/foo/', '/foo/', '/'],
  ['/', '/foobar', '/foo', '/bar'],
  ['/', '/foo/bar/', '/foo', '/bar/'],
  ['/', '/foo', undefined, '/foo'],
  ['/base', '/', '/', '/base'],
  ['/base', '/', undefined, '/base'],
  ['/base', '/foo', '/', '/base/foo'],
  ['/base', '/foo', '/foo', '/base'],
  ['/base', '/foo/', '/foo', '/base/'],
  ['/base', '/foo/', '/foo/', '/base/'],
  ['/base', '/foobar', '/foo', '/base/bar'],
  ['/base', '/foo/bar', '/foo', '/base/bar'],
  ['/base', '/foo/bar', '/foo/', '/base/bar'],
  ['/base', '/foo', undefined, '/base/foo'],
  ['/base/', '/', '/', '/base/'],
  ['/base/', '/', undefined, '/base/'],
  ['/base/', '/foo', '/foo', '/base'],
  ['/base/', '/foo/', '/foo', '/base/'],
  ['/base/', '/foobar', '/foo', '/base/bar'],
  ['/base/', '/foo/bar', '/foo', '/base/bar'],
  ['/base/', '/foo', undefined, '/base/foo'],
  // A raw prefix may end inside a segment; what remains must not climb out of the base.
  ['/base', '/foo../secret', '/foo', '/base/secret'],
  ['/base', '/foo./secret', '/foo', '/base/secret'],
  ['/base', '/foo..;x/secret', '/foo', '/base/secret'],
  ['/base', '/foo..', '/foo', '/base'],
  ['/base', '/foo.', '/foo', '/base'],
  ['/base', '/foo..;', '/foo', '/base'],
  ['/base', '/foo.../secret', '/foo', '/base/.../secret'],
  ['/base', '/foo.secret', '/foo', '/base/.secret'],
])('service path %s, request %s, matched %s: %s', (base, path, prefix, expected) => {
  expect(joinPath(base, path, prefix?.length)).toBe(expected)
})
