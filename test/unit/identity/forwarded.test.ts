import { describe, expect, test } from '@jest/globals'
import { plainAddress } from '../../../src/identity/addresses.ts'
import { createForwardedHeaders, createRequestId, type ForwardedRequest } from '../../../src/identity/forwarded.ts'
import type { Connection } from '../../../src/types.ts'
import { fakeConnection } from '../../support/fake-connection.ts'
import { isKept } from '../../support/garbage.ts'

const proxies = new Set(['10.0.0.1', '10.0.0.2', '2001:db8::1'])
const headers = createForwardedHeaders({ trusted: proxies, forwarded: true, via: true })
const plain = createForwardedHeaders({ trusted: proxies, forwarded: false, via: false })
const stranger = fakeConnection({ remoteAddress: '192.0.2.1' })
const proxy = fakeConnection({ remoteAddress: '::ffff:10.0.0.1' })

function written(
  connection: Connection,
  rawHeaders: string[],
  request: Partial<ForwardedRequest> = {},
  by = headers,
): Record<string, string> {
  const out: string[] = []
  const whole = { id: 'id', rawHeaders, httpVersion: '1.1', authority: 'api.test:8443', strippedPrefix: '', ...request }
  const constant = by.append(out, connection, whole)
  out.unshift(...constant.list)
  const pairs = Array.from({ length: out.length / 2 }, (_, i) => [out[2 * i], out[2 * i + 1]] as const)
  expect(new Set(pairs.map(([name]) => name)).size).toBe(pairs.length)
  return Object.fromEntries(pairs)
}

function append(by: typeof headers, connection: Connection): object {
  const request = { id: 'id', rawHeaders: [], httpVersion: '1.1', authority: 'api.test', strippedPrefix: '' }
  return by.append([], connection, request)
}

const FORGED = [
  ...['X-Forwarded-For', '127.0.0.1', 'X-Forwarded-Proto', 'http', 'X-Forwarded-Host', 'evil.test', 'X-Real-IP', '::1'],
  ...['X-Forwarded-Port', '1', 'X-Forwarded-Prefix', '/evil', 'Forwarded', 'for=127.0.0.1', 'X-Request-ID', 'forged'],
]

describe('a peer that is not trusted', () => {
  test('is never believed about where the request came from', () => {
    expect(written(stranger, FORGED)).toEqual({
      'X-Real-IP': '192.0.2.1',
      'X-Forwarded-For': '192.0.2.1',
      'X-Forwarded-Proto': 'https',
      'X-Forwarded-Host': 'api.test:8443',
      'X-Forwarded-Port': '8443',
      Forwarded: 'for=192.0.2.1;host="api.test:8443";proto=https',
      Via: '1.1 sallyport',
      'X-Request-ID': 'id',
    })
    expect(headers.clientAddress(stranger, FORGED)).toBe('192.0.2.1')
    expect(headers.requestId(stranger, FORGED)).toMatch(/^[0-9a-f]{32}$/)
  })

  test('may ask for another host on the same connection', () => {
    expect(written(stranger, [], { authority: 'a.test' })['X-Forwarded-Host']).toBe('a.test')
    expect(written(stranger, [], { authority: 'b.test' })['X-Forwarded-Host']).toBe('b.test')
    expect(written(stranger, [], { authority: '' })).not.toHaveProperty('X-Forwarded-Host')
  })

  test('gets no Forwarded and no Via where they are not wanted', () => {
    expect(Object.keys(written(stranger, FORGED, {}, plain))).toEqual([
      ...['X-Real-IP', 'X-Forwarded-For', 'X-Forwarded-Proto', 'X-Forwarded-Host', 'X-Forwarded-Port', 'X-Request-ID'],
    ])
  })
})

test('on a connection that outlives a configuration, each one writes its own headers and trusts its own peers', async () => {
  const connection = fakeConnection({ remoteAddress: '192.0.2.1' })
  const believing = createForwardedHeaders({ trusted: new Set(['192.0.2.1']), forwarded: false, via: false })
  expect(written(connection, FORGED)).toHaveProperty('Forwarded')
  expect(written(connection, FORGED, {}, plain)).not.toHaveProperty('Forwarded')
  expect([headers, believing, headers].map((by) => by.clientAddress(connection, FORGED))).toEqual([
    '192.0.2.1',
    '127.0.0.1',
    '192.0.2.1',
  ])
  expect(
    await isKept(
      connection,
      () => append(headers, connection),
      () => append(plain, connection),
    ),
  ).toBe(false)
})

describe('a trusted peer', () => {
  test('is believed: its list is kept and appended to, the client is the nearest untrusted address', () => {
    const rawHeaders = [
      ...['X-Forwarded-For', '6.6.6.6, 198.51.100.7', 'x-forwarded-for', '10.0.0.2', 'X-Forwarded-Proto', 'http'],
      ...[
        'X-Forwarded-Host',
        'shop.test',
        'X-Forwarded-Port',
        '80',
        'Forwarded',
        'for=198.51.100.7',
        'X-Request-ID',
        'up-1',
      ],
    ]
    expect(written(proxy, rawHeaders)).toEqual({
      'X-Real-IP': '198.51.100.7',
      'X-Forwarded-For': '6.6.6.6, 198.51.100.7, 10.0.0.2, 10.0.0.1',
      'X-Forwarded-Proto': 'http',
      'X-Forwarded-Host': 'shop.test',
      'X-Forwarded-Port': '80',
      Forwarded: 'for=198.51.100.7, for=10.0.0.1;host="api.test:8443";proto=https',
      Via: '1.1 sallyport',
      'X-Request-ID': 'id',
    })
    expect(headers.clientAddress(proxy, rawHeaders)).toBe('198.51.100.7')
    expect(headers.requestId(proxy, rawHeaders)).toBe('up-1')
  })

  test.each([
    ['', '10.0.0.1'],
    ['10.0.0.2', '10.0.0.2'],
    ['1.1.1.1, unknown', '10.0.0.1'],
    ['1.1.1.1, , 10.0.0.2', '10.0.0.2'],
    ['198.51.100.7:1234', '198.51.100.7'],
    ['[2001:db8::9]:1234', '2001:db8::9'],
    ['[2001:DB8::9]', '2001:db8::9'],
    ['::ffff:198.51.100.7', '198.51.100.7'],
    ['6.6.6.6, 999.1.1.1', '10.0.0.1'],
    ['7.7.7.7, ::ffff:10.0.0.2', '7.7.7.7'],
  ])('X-Forwarded-For %j means the client %s', (chain, client) => {
    expect(headers.clientAddress(proxy, ['X-Forwarded-For', chain])).toBe(client)
    expect(written(proxy, ['X-Forwarded-For', chain])['X-Real-IP']).toBe(client)
  })

  test('that tells nothing is the client itself', () => {
    expect(written(proxy, [])).toMatchObject({
      'X-Forwarded-For': '10.0.0.1',
      'X-Real-IP': '10.0.0.1',
      Forwarded: 'for=10.0.0.1;host="api.test:8443";proto=https',
    })
  })

  test('is not believed where a value is malformed or stands there twice', () => {
    const rawHeaders = [
      ...['X-Forwarded-Proto', 'https, http', 'X-Forwarded-Host', 'a.test', 'X-Forwarded-Host', 'b.test'],
      ...['X-Forwarded-Port', '80x', 'X-Forwarded-Prefix', 'javascript:', 'X-Request-ID', 'a b'],
    ]
    expect(written(proxy, rawHeaders)).toMatchObject({
      'X-Forwarded-Proto': 'https',
      'X-Forwarded-Host': 'api.test:8443',
      'X-Forwarded-Port': '8443',
    })
    expect(written(proxy, rawHeaders)).not.toHaveProperty('X-Forwarded-Prefix')
    expect(headers.requestId(proxy, rawHeaders)).toMatch(/^[0-9a-f]{32}$/)
    expect(headers.requestId(proxy, ['X-Request-ID', 'x'.repeat(129)])).toHaveLength(32)
    expect(headers.requestId(proxy, ['X-Request-ID', '<script>'])).toHaveLength(32)
  })

  test.each(['0', '080', '65536', '99999', '100000', '-1', '443 ', '4e2'])(
    'is not believed about the port %j',
    (port) => {
      const rawHeaders = ['X-Forwarded-Port', port, 'X-Forwarded-Host', `a.test:${port}`]
      expect(written(proxy, rawHeaders)).toMatchObject({
        'X-Forwarded-Port': '8443',
        'X-Forwarded-Host': 'api.test:8443',
      })
    },
  )

  test.each(['1', '443', '9999', '59999', '64999', '65535'])('is believed about the port %s', (port) => {
    const rawHeaders = ['X-Forwarded-Port', port, 'X-Forwarded-Host', `a.test:${port}`]
    expect(written(proxy, rawHeaders)).toMatchObject({
      'X-Forwarded-Port': port,
      'X-Forwarded-Host': `a.test:${port}`,
    })
  })

  test('a peer is trusted or not for itself, not for another connection', () => {
    expect(written(proxy, ['X-Forwarded-For', '1.1.1.1'])['X-Real-IP']).toBe('1.1.1.1')
    expect(written(stranger, ['X-Forwarded-For', '1.1.1.1'])['X-Real-IP']).toBe('192.0.2.1')
  })
})

test('X-Forwarded-Prefix tells what was stripped, after what a trusted proxy has stripped', () => {
  const given = ['X-Forwarded-Prefix', '/outer/']
  expect(written(stranger, given, { strippedPrefix: '/api' })['X-Forwarded-Prefix']).toBe('/api')
  expect(written(proxy, given, { strippedPrefix: '/api' })['X-Forwarded-Prefix']).toBe('/outer/api')
  expect(written(proxy, given)['X-Forwarded-Prefix']).toBe('/outer')
  expect(written(stranger, given)).not.toHaveProperty('X-Forwarded-Prefix')
})

test('Via names the version that the client spoke', () => {
  expect(written(stranger, [], { httpVersion: '1.0' }).Via).toBe('1.0 sallyport')
})

test('an IPv6 address is bracketed and quoted in Forwarded, and its zone is left out (RFC 7239 4)', () => {
  const connection = fakeConnection({ remoteAddress: 'fe80::1%eth0' })
  expect(written(connection, [], { authority: 'a.test' })).toMatchObject({
    Forwarded: 'for="[fe80::1]";host=a.test;proto=https',
    'X-Forwarded-For': 'fe80::1',
  })
})

test.each([
  ['::ffff:192.0.2.1', '192.0.2.1'],
  ['::FFFF:192.0.2.1', '192.0.2.1'],
  ['::ffff:c000:201', '192.0.2.1'],
  ['0:0:0:0:0:ffff:192.0.2.1', '192.0.2.1'],
  ['0000:0000:0000:0000:0000:ffff:c000:0201', '192.0.2.1'],
  ['2001:DB8::FFFF:1', '2001:db8::ffff:1'],
  ['192.0.2.1', '192.0.2.1'],
])('the address %s is written %s', (address, shown) => {
  expect(plainAddress(address)).toBe(shown)
})

test('request ids are 32 hexadecimal digits and differ', () => {
  const ids = Array.from({ length: 2000 }, createRequestId)
  expect(new Set(ids).size).toBe(2000)
  for (const id of ids) expect(id).toMatch(/^[0-9a-f]{32}$/)
})
