import { describe, expect, test } from '@jest/globals'
import { readDestination } from '../../../src/routing/destination.ts'
import { refusalOf } from './refusal.ts'

function read(url: string, host: string | undefined = 'a.example', method = 'GET', minor = 1) {
  return readDestination({ url, method, httpVersionMajor: 1, httpVersionMinor: minor }, host)
}

test('a target is split into path and query, the query as the client wrote it', () => {
  const place = { host: 'a.example', port: 8443, authority: 'A.example:8443' }
  expect(read('/x%79?q=%zz&r=a?b//../', 'A.example:8443')).toEqual({
    ...place,
    path: '/xy',
    query: '?q=%zz&r=a?b//../',
  })
  expect(read('/x?', 'A.example:8443')).toEqual({ ...place, path: '/x', query: '?' })
  expect(read('/', 'A.example:8443')).toEqual({ ...place, path: '/', query: '' })
  expect(read('/?q=caf\xc3\xa9').query).toBe('?q=caf\xc3\xa9')
})

describe('absolute form', () => {
  test.each([
    ['https://a.example/p?q', '/p', '?q'],
    ['https://a.example', '/', ''],
    ['https://a.example?q', '/', '?q'],
    ['HTTPS://A.EXAMPLE.:443/p', '/p', ''],
    ['https://a.example//p', '/p', ''],
  ])('is taken where it names the same place as Host: %s', (url, path, query) => {
    expect(read(url)).toMatchObject({ host: 'a.example', authority: 'a.example', path, query })
  })

  test.each([
    'https://evil.example/p',
    'https://a.example:99/p',
    'https://user@a.example/p',
    'https://a.example\\@evil.example/p',
    'https:///p',
    'https://?q',
    'http://a.example/p',
    'ftp://a.example/p',
    'wss://a.example/p',
    'https:/a.example/p',
    'https:a.example',
  ])('is refused where it does not, or is no https URL: %s', (url) => {
    expect(refusalOf(() => read(url))).toBe('GW_BAD_REQUEST')
  })

  test('its path obeys the same policy', () => {
    expect(refusalOf(() => read('https://a.example/x/../admin'))).toBe('GW_BAD_PATH')
    expect(refusalOf(() => read('https://a.example#x'))).toBe('GW_BAD_PATH')
    expect(refusalOf(() => read('https://a.example/a\nb'))).toBe('GW_BAD_PATH')
  })

  test('gives the host where HTTP/1.0 sends none, but does not excuse HTTP/1.1', () => {
    const request = { url: 'https://A.example:1/p', method: 'GET', httpVersionMajor: 1 }
    expect(readDestination({ ...request, httpVersionMinor: 0 }, undefined)).toEqual({
      host: 'a.example',
      port: 1,
      authority: 'A.example:1',
      path: '/p',
      query: '',
    })
    expect(refusalOf(() => readDestination({ ...request, httpVersionMinor: 1 }, undefined))).toBe('GW_BAD_REQUEST')
  })
})

describe('Host', () => {
  const request = { url: '/', method: 'GET', httpVersionMajor: 1 }
  test('may be missing in HTTP/1.0 only', () => {
    expect(readDestination({ ...request, httpVersionMinor: 0 }, undefined)).toMatchObject({ host: '', authority: '' })
    expect(refusalOf(() => readDestination({ ...request, httpVersionMinor: 1 }, undefined))).toBe('GW_BAD_REQUEST')
  })
  test('may be empty in neither', () => {
    expect(refusalOf(() => readDestination({ ...request, httpVersionMinor: 0 }, ''))).toBe('GW_BAD_REQUEST')
    expect(refusalOf(() => readDestination({ ...request, httpVersionMinor: 1 }, ''))).toBe('GW_BAD_REQUEST')
  })
})

test.each(['', '*', 'a.example:443', 'path', '?q', '\\admin', 'javascript:x', 'mailto:a@b'])(
  'a target that is neither path nor URL is refused: %j',
  (url) => {
    expect(refusalOf(() => read(url))).toBe('GW_BAD_REQUEST')
  },
)

test('OPTIONS * has the path *; no other method has', () => {
  expect(read('*', 'a.example', 'OPTIONS')).toMatchObject({ path: '*', query: '' })
  expect(refusalOf(() => read('*?q', 'a.example', 'OPTIONS'))).toBe('GW_BAD_REQUEST')
  expect(refusalOf(() => read('*', 'a.example', 'GET'))).toBe('GW_BAD_REQUEST')
})

test.each(['CONNECT', 'TRACE'])('%s is not allowed, whatever its target', (method) => {
  for (const url of ['/', 'a.example:443', 'https://a.example/', '*']) {
    expect(refusalOf(() => read(url, 'a.example', method))).toBe('GW_METHOD_NOT_ALLOWED')
  }
})

test.each([
  [0, 9],
  [1, 2],
  [2, 0],
])('HTTP/%d.%d on a request line is refused', (httpVersionMajor, httpVersionMinor) => {
  const request = { url: '/', method: 'GET', httpVersionMajor, httpVersionMinor }
  expect(refusalOf(() => readDestination(request, 'a.example'))).toBe('GW_BAD_REQUEST')
})

test.each(['/p?a#x', '/p?a\0', '/p?a b', '/p?a\tb', '/p?a\r\nX: y', '/p?\x7f', '/p?\u0100', '/p#?x'])(
  'a query with a control character, a blank or a fragment is refused: %j',
  (url) => {
    expect(refusalOf(() => read(url))).toBe('GW_BAD_PATH')
  },
)

test('a refusal does not repeat the query, which may hold secrets', () => {
  expect(() => read('/p?token=hunter2#')).not.toThrow(/hunter2/)
  expect(() => read('hunter2')).not.toThrow(/hunter2/)
})
