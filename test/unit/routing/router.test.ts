import { describe, expect, test } from '@jest/globals'
import { readDestination } from '../../../src/routing/destination.ts'
import { createRouter, type RouteRule } from '../../../src/routing/router.ts'
import { atOnce } from '../../../src/slices.ts'
import type { Service } from '../../../src/types.ts'

const service: Service = { name: 'api', forward: async () => {}, upgrade: async () => {} }

function rule(name: string, fields: Partial<RouteRule>): RouteRule {
  return { name, service, ...fields }
}

interface Asked {
  readonly method?: string
  readonly headers?: readonly string[]
  readonly sni?: string
}

function ask(rules: readonly RouteRule[], url: string, { method = 'GET', headers = [], sni }: Asked = {}) {
  const target = new URL(url).host === '' ? url : url.replace(/^https:\/\/[^/?]*/, '') || '/'
  const authority = /^https:\/\/([^/?]*)/.exec(url)?.[1]
  const destination = readDestination({ url: target, method, httpVersionMajor: 1, httpVersionMinor: 1 }, authority)
  return atOnce(createRouter(rules)).match({ destination, method, rawHeaders: headers, serverName: sni })
}

const found = (rules: readonly RouteRule[], url: string, asked?: Asked) => ask(rules, url, asked)?.route.name

describe('conditions', () => {
  test('a path is a raw prefix', () => {
    const rules = [rule('foo', { paths: ['/foo'] })]
    expect(found(rules, 'https://h/foo')).toBe('foo')
    expect(found(rules, 'https://h/foobar')).toBe('foo')
    expect(found(rules, 'https://h/foo?x')).toBe('foo')
    expect(found(rules, 'https://h/FOO')).toBeUndefined()
    expect(found(rules, 'https://h/x/foo')).toBeUndefined()
    expect(found(rules, 'https://h/?/foo')).toBeUndefined()
  })

  test('no other spelling leads around the route of /admin', () => {
    const rules = [rule('admin', { paths: ['/admin'] }), rule('rest', { paths: ['/'] })]
    for (const path of ['/admin', '/%61dmin', '//admin', '///%61%64min/x', '/admin;a=b', '/admin?x']) {
      expect(found(rules, `https://h${path}`)).toBe('admin')
    }
  })

  test('a route’s own path may be spelled in any way that is equal', () => {
    const rules = [rule('é', { paths: ['/caf%c3%a9', '/stra\u00dfe', '/%61//b'] })]
    expect(found(rules, 'https://h/caf%C3%A9')).toBe('é')
    expect(found(rules, 'https://h/caf%c3%a9/x')).toBe('é')
    expect(found(rules, 'https://h/stra%C3%9Fe')).toBe('é')
    expect(found(rules, 'https://h/a/b')).toBe('é')
  })

  test('a regular expression is anchored at the start only', () => {
    const rules = [rule('re', { paths: ['~/v[0-9]+|/w'] })]
    expect(found(rules, 'https://h/v12/x')).toBe('re')
    expect(found(rules, 'https://h/wx')).toBe('re')
    expect(found(rules, 'https://h/x/v1')).toBeUndefined()
    expect(found(rules, 'https://h/x/w')).toBeUndefined()
  })

  test('hosts are plain or have a wildcard for one label or more, with a port if they say so', () => {
    const rules = [
      rule('h', { hosts: ['a.example', '*.b.example', 'c.*', 'D.example:8443', 'e.example:443', '[::1]'] }),
    ]
    for (const host of [
      'a.example',
      'A.EXAMPLE.',
      'a.example:99',
      'x.b.example',
      'x.y.b.example:1',
      'c.org',
      'c.co.uk',
    ]) {
      expect([host, found(rules, `https://${host}/`)]).toEqual([host, 'h'])
    }
    for (const host of ['d.example:8443', 'e.example', 'e.example:443', '[::1]:5']) {
      expect([host, found(rules, `https://${host}/`)]).toEqual([host, 'h'])
    }
    for (const host of [
      'x.a.example',
      'b.example',
      'xb.example',
      'c',
      'cx.org',
      'x.c.org',
      'd.example',
      'e.example:8443',
    ]) {
      expect([host, found(rules, `https://${host}/`)]).toEqual([host, undefined])
    }
  })

  test('methods, in exactly their case', () => {
    const rules = [rule('m', { methods: ['GET', 'POST'] })]
    expect(found(rules, 'https://h/', { method: 'POST' })).toBe('m')
    expect(found(rules, 'https://h/', { method: 'HEAD' })).toBeUndefined()
    expect(found(rules, 'https://h/', { method: 'get' })).toBeUndefined()
  })

  test('headers: all names, any value of each, in any case', () => {
    const rules = [rule('x', { headers: { 'X-Version': ['v1', 'V2'], 'x-region': ['eu'] } })]
    expect(found(rules, 'https://h/', { headers: ['x-VERSION', 'v2', 'X-Region', 'EU'] })).toBe('x')
    expect(found(rules, 'https://h/', { headers: ['X-Region', 'us', 'X-Version', 'V1', 'X-Region', 'eu'] })).toBe('x')
    expect(found(rules, 'https://h/', { headers: ['X-Version', 'v1'] })).toBeUndefined()
    expect(found(rules, 'https://h/', { headers: ['X-Version', 'v3', 'X-Region', 'eu'] })).toBeUndefined()
    expect(found(rules, 'https://h/', { headers: ['X_Version', 'v1', 'X-Region', 'eu'] })).toBeUndefined()
    expect(found(rules, 'https://h/', { headers: ['v1', 'X-Version', 'eu', 'X-Region'] })).toBeUndefined()
  })

  test('a header value may be a regular expression', () => {
    const rules = [rule('x', { headers: { 'user-agent': ['~*^curl/[0-9]'] } })]
    expect(found(rules, 'https://h/', { headers: ['User-Agent', 'CURL/8'] })).toBe('x')
    expect(found(rules, 'https://h/', { headers: ['User-Agent', 'libcurl/8'] })).toBeUndefined()
  })

  test('server names', () => {
    const rules = [rule('s', { snis: ['a.example', 'B.example.'] })]
    expect(found(rules, 'https://h/', { sni: 'a.example' })).toBe('s')
    expect(found(rules, 'https://h/', { sni: 'b.example' })).toBe('s')
    expect(found(rules, 'https://a.example/', { sni: 'c.example' })).toBeUndefined()
    expect(found(rules, 'https://a.example/')).toBeUndefined()
    expect(found([rule('s', { snis: ['*.b.example'] })], 'https://h/', { sni: 'x.b.example' })).toBe('s')
    expect(found([rule('s', { snis: ['*.b.example'] })], 'https://h/', { sni: '.b.example' })).toBeUndefined()
  })

  test('all kinds must hold', () => {
    const rules = [rule('all', { paths: ['/p'], hosts: ['h'], methods: ['GET'], snis: ['h'], headers: { x: ['1'] } })]
    const good = { method: 'GET', headers: ['x', '1'], sni: 'h' }
    expect(found(rules, 'https://h/p', good)).toBe('all')
    expect(found(rules, 'https://h/q', good)).toBeUndefined()
    expect(found(rules, 'https://i/p', good)).toBeUndefined()
    expect(found(rules, 'https://h/p', { ...good, method: 'PUT' })).toBeUndefined()
    expect(found(rules, 'https://h/p', { ...good, headers: [] })).toBeUndefined()
    expect(found(rules, 'https://h/p', { ...good, sni: 'i' })).toBeUndefined()
  })

  test('a route without conditions takes everything but OPTIONS *', () => {
    expect(found([rule('any', {})], 'https://h/x')).toBe('any')
    const destination = readDestination({ url: '*', method: 'OPTIONS', httpVersionMajor: 1, httpVersionMinor: 1 }, 'h')
    const query = { destination, method: 'OPTIONS', rawHeaders: [] }
    expect(atOnce(createRouter([rule('any', {})])).match(query)).toBeUndefined()
  })

  test('a route for http alone is never found, one for https is', () => {
    expect(found([rule('http', { protocols: ['http'], paths: ['/'] })], 'https://h/')).toBeUndefined()
    expect(found([rule('https', { protocols: ['https'], paths: ['/'] })], 'https://h/')).toBe('https')
  })

  test('no routes, no match', () => {
    expect(ask([], 'https://h/')).toBeUndefined()
  })
})

describe('precedence, the winner last in the list', () => {
  const request = { method: 'GET', headers: ['x', '1', 'y', '2'], sni: 'h.example' }
  test.each<[string, Partial<RouteRule>, Partial<RouteRule>]>([
    ['more kinds of condition', { paths: ['/long/path'] }, { methods: ['GET'], snis: ['h.example'] }],
    [
      'plain hosts before a wildcard',
      { hosts: ['h.example', '*.example'], paths: ['/long'] },
      { hosts: ['h.example'], paths: ['/'] },
    ],
    [
      'plain hosts before no hosts',
      { paths: ['/long/path'], methods: ['GET'] },
      { hosts: ['h.example'], snis: ['h.example'] },
    ],
    [
      'plain hosts before headers',
      { hosts: ['*.example'], headers: { x: ['1'], y: ['2'] } },
      { hosts: ['h.example'], headers: { x: ['1'] } },
    ],
    [
      'more headers',
      { headers: { x: ['1'] }, paths: ['~/long/path'] },
      { headers: { x: ['1'], y: ['2'] }, paths: ['/'] },
    ],
    ['a regular expression before a prefix', { paths: ['/long/path'] }, { paths: ['~/l'] }],
    ['regex_priority', { paths: ['~/long/path'], regexPriority: 1 }, { paths: ['~/l'], regexPriority: 2 }],
    ['a longer prefix', { paths: ['/long'], regexPriority: 9 }, { paths: ['/long/p'] }],
    ['of two paths the one that matches counts', { paths: ['/l', '/otherwise/very/long'] }, { paths: ['/lo'] }],
    ['the older', { paths: ['/l'], createdAt: 2 }, { paths: ['/l'], createdAt: 1 }],
    ['with an age before without', { paths: ['/l'] }, { paths: ['/l'], createdAt: 1 }],
  ])('%s', (_, loser, winner) => {
    const rules = [rule('loser', loser), rule('winner', winner)]
    expect(found([rules[0] as RouteRule], 'https://h.example/long/path', request)).toBe('loser')
    expect(found(rules, 'https://h.example/long/path', request)).toBe('winner')
    expect(found(rules.reverse(), 'https://h.example/long/path', request)).toBe('winner')
  })

  test('of equals the first in the list', () => {
    expect(found([rule('first', { paths: ['/l'] }), rule('second', { paths: ['/l'] })], 'https://h/long')).toBe('first')
  })
})

describe('what a match says', () => {
  const match = (fields: Partial<RouteRule>, url = 'https://h/foo/bar') => ask([rule('r', fields)], url)

  test('its route is the rule itself', () => {
    const given = rule('r', {})
    expect(ask([given], 'https://h/')?.route).toBe(given)
  })
  test('the path is joined with the service’s, and the prefix is stripped unless the route says no', () => {
    expect(match({ paths: ['/foo'], servicePath: '/base' })).toMatchObject({
      upstreamPath: '/base/bar',
      strippedPrefix: '/foo',
    })
    expect(match({ paths: ['/foo'], servicePath: '/base', stripPath: false })).toMatchObject({
      upstreamPath: '/base/foo/bar',
      strippedPrefix: '',
    })
    expect(match({ paths: ['~/f[a-z]+/'] })).toMatchObject({ upstreamPath: '/bar', strippedPrefix: '/foo/' })
    expect(match({ paths: ['/'] })).toMatchObject({ upstreamPath: '/foo/bar', strippedPrefix: '' })
    expect(match({})).toMatchObject({ upstreamPath: '/foo/bar', strippedPrefix: '' })
    expect(match({ servicePath: '/base/' })).toMatchObject({ upstreamPath: '/base/foo/bar', strippedPrefix: '' })
  })
  test('the spelling that was matched is the one that is forwarded', () => {
    expect(match({ paths: ['/foo'], stripPath: false }, 'https://h//f%6fo//%62ar%c3%a9')?.upstreamPath).toBe(
      '/foo/bar%C3%A9',
    )
  })
  test('what is left of a raw prefix does not climb out of the service’s path', () => {
    expect(match({ paths: ['/foo'], servicePath: '/base' }, 'https://h/foo../secret')?.upstreamPath).toBe(
      '/base/secret',
    )
  })
  test('the client’s Host is kept only where the route says so', () => {
    expect(match({})?.preserveHost).toBe(false)
    expect(match({ preserveHost: true })?.preserveHost).toBe(true)
  })
})

describe('a rule that could never be checked as written is refused with its name', () => {
  test.each<[Partial<RouteRule>, string]>([
    [{ paths: ['foo'] }, 'routes[bad].paths: "foo" does not begin with /'],
    [{ paths: [''] }, 'routes[bad].paths: "" does not begin with /'],
    [{ paths: ['/a?b'] }, 'routes[bad].paths: "/a?b" holds a query'],
    [{ paths: ['/a/../b'] }, 'routes[bad].paths: "/a/../b" can match no request: the path holds a dot segment'],
    [{ paths: ['/a%2fb'] }, 'can match no request: the path holds %2f'],
    [{ paths: ['/a b'] }, 'can match no request: the path holds " "'],
    [{ paths: ['/\ud800'] }, 'is no valid Unicode'],
    [{ paths: ['~/(a'] }, 'routes[bad].paths: "~/(a" is no regular expression'],
    [{ paths: ['~(?i)/a'] }, 'is no regular expression'],
    [{ servicePath: 'base' }, 'routes[bad].service.path: "base" does not begin with /'],
    [{ hosts: ['*'] }, 'routes[bad].hosts: "*" is no host'],
    [{ hosts: ['a.*.b'] }, 'is no host'],
    [{ hosts: ['*.a.*'] }, 'is no host'],
    [{ hosts: ['https://a'] }, 'is no host'],
    [{ hosts: ['a:b'] }, 'is no host'],
    [{ hosts: ['a:0'] }, 'has no port from 1 to 65535'],
    [{ hosts: ['a:65536'] }, 'has no port from 1 to 65535'],
    [{ hosts: [''] }, 'is no host'],
    [{ snis: ['a:443'] }, 'routes[bad].snis: "a:443" has a port'],
    [{ headers: { Host: ['a'] } }, 'routes[bad].headers.Host: "a" is a condition on Host; write hosts'],
    [{ headers: { x: [] } }, 'routes[bad].headers.x: "" names no value'],
    [{ headers: { x: ['~*('] } }, 'is no regular expression'],
  ])('%j', (fields, message) => {
    expect(() => atOnce(createRouter([rule('good', { paths: ['/'] }), rule('bad', fields)]))).toThrow(message)
  })

  test('all of them at once', () => {
    const rules = [rule('a', { paths: ['x', '/ok', '~('] }), rule('b', { hosts: ['*'] })]
    expect(() => atOnce(createRouter(rules))).toThrow(
      expect.objectContaining({
        problems: [
          expect.objectContaining({ path: 'routes[a].paths' }),
          expect.objectContaining({ path: 'routes[a].paths' }),
          expect.objectContaining({ path: 'routes[b].hosts' }),
        ],
      }),
    )
  })
})
