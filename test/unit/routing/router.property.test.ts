import { expect, test } from '@jest/globals'
import { hasDotSegment, normalizePath } from '../../../src/routing/path.ts'
import { createRouter, type RouteQuery, type RouteRule } from '../../../src/routing/router.ts'
import { atOnce } from '../../../src/slices.ts'
import type { Service } from '../../../src/types.ts'
import fc from '../../support/random.ts'
import { refusalOf } from './refusal.ts'

const service: Service = { name: 'api', forward: async () => {}, upgrade: async () => {} }

const some = <T>(...values: T[]) =>
  fc.option(fc.uniqueArray(fc.constantFrom(...values), { minLength: 1, maxLength: 3 }), { nil: undefined, freq: 1 })

const rule: fc.Arbitrary<RouteRule> = fc.record({
  name: fc.uuid(),
  service: fc.constant(service),
  servicePath: fc.constantFrom(undefined, '/', '/base', '/base/'),
  hosts: some('a.org', '*.org', 'a.*', 'b.a.org', 'a.org:8443', 'a.org:443'),
  paths: some('/', '/a', '/a/', '/a/b', '/ab', '~/a', '~/[ab]/b', '~/a/?$'),
  methods: some('GET', 'POST'),
  headers: fc.option(
    fc.record(
      { x: fc.constantFrom(['1'], ['1', '2'], ['~*^1']), y: fc.constant(['1']) },
      { noNullPrototype: true, requiredKeys: [] },
    ),
    { nil: undefined, freq: 1 },
  ),
  snis: some('a.org', 'b.org'),
  protocols: fc.constantFrom(undefined, ['http'], ['https'], ['http', 'https']),
  stripPath: fc.constantFrom(undefined, true, false),
  preserveHost: fc.boolean(),
  regexPriority: fc.constantFrom(undefined, 0, 1),
  createdAt: fc.constantFrom(undefined, 1, 2),
})

const query: fc.Arbitrary<RouteQuery> = fc.record({
  destination: fc.record({
    host: fc.constantFrom('a.org', 'b.a.org', 'a.net', 'c.net', ''),
    port: fc.constantFrom(undefined, 443, 8443),
    authority: fc.constant(''),
    path: fc.constantFrom('/', '/a', '/a/', '/ab', '/a/b', '/b/b/', '/a../b', '/a/b;x/c', '/c'),
    query: fc.constant(''),
  }),
  method: fc.constantFrom('GET', 'POST', 'PUT'),
  rawHeaders: fc.constantFrom([], ['X', '1'], ['x', '2', 'Y', '1'], ['x', '3', 'x', '12']),
  serverName: fc.constantFrom(undefined, 'a.org', 'b.org'),
  protocol: fc.constant('https' as const),
})

/** Kong's rules said once more, as slowly and plainly as they can be: every route is split by path, judged, and the best one kept. */
function slowly(
  rules: readonly RouteRule[],
  asked: RouteQuery,
): { rule: RouteRule; path: string | undefined } | undefined {
  let best: { rule: RouteRule; path: string | undefined; rank: number[] } | undefined
  rules.forEach((rule, position) => {
    for (const path of rule.paths ?? [undefined]) {
      if (!holds(rule, path, asked)) continue
      const rank = rankOf(rule, path, position)
      const decisive = best?.rank.findIndex((value, i) => value !== rank[i]) ?? 0
      if (best === undefined || (rank[decisive] ?? 0) > (best.rank[decisive] ?? 0)) best = { rule, path, rank }
    }
  })
  return best
}

function holds(
  rule: RouteRule,
  path: string | undefined,
  { destination, method, rawHeaders, serverName }: RouteQuery,
): boolean {
  const { host, port = 443 } = destination
  const hostPatterns = rule.hosts?.map((pattern) => {
    const [name = '', only] = pattern.split(':')
    return only === undefined ? new RegExp(`^${toPattern(name)}:`) : new RegExp(`^${toPattern(name)}:${only}$`)
  })
  const values = (name: string) => rawHeaders.filter((_, i) => i % 2 === 1 && rawHeaders[i - 1]?.toLowerCase() === name)
  const headersHold = Object.entries(rule.headers ?? {}).every(([name, wanted]) =>
    values(name).some((value) => wanted.includes(value) || (wanted[0] === '~*^1' && value.startsWith('1'))),
  )
  return (
    (rule.protocols ?? ['https']).includes('https') &&
    (path === undefined || new RegExp(`^${path.replace(/^~/, '')}`).test(destination.path)) &&
    (hostPatterns?.some((pattern) => pattern.test(`${host}:${port}`)) ?? true) &&
    (rule.methods?.includes(method) ?? true) &&
    (rule.snis?.includes(serverName ?? '') ?? true) &&
    headersHold
  )
}

function toPattern(host: string): string {
  return host.replaceAll('.', '\\.').replace('*', '.+')
}

function rankOf(rule: RouteRule, path: string | undefined, position: number): number[] {
  const headers = Object.keys(rule.headers ?? {}).length
  const isRegex = path?.startsWith('~') ?? false
  return [
    [rule.hosts, path, rule.methods, rule.snis, headers || undefined].filter((kind) => kind !== undefined).length,
    rule.hosts !== undefined && !rule.hosts.join().includes('*') ? 1 : 0,
    headers,
    isRegex ? 1 : 0,
    isRegex ? (rule.regexPriority ?? 0) : 0,
    isRegex ? 0 : (path?.length ?? 0),
    -(rule.createdAt ?? 99),
    -position,
  ]
}

test('the router finds what a naive reading of Kong’s rules finds', () => {
  let matches = 0
  fc.assert(
    fc.property(
      fc.array(rule, { minLength: 2, maxLength: 8 }),
      fc.array(query, { minLength: 1, maxLength: 8 }),
      (rules, queries) => {
        const router = atOnce(createRouter(rules))
        for (const asked of queries) {
          const expected = slowly(rules, asked)
          if (expected !== undefined) matches++
          expect(router.match(asked)?.route).toBe(expected?.rule)
        }
      },
    ),
    { numRuns: 2000 },
  )
  // The generator must not have missed the point.
  expect(matches).toBeGreaterThan(1000)
})

const anyPath = fc
  .array(fc.constantFrom('/', 'a', 'b', '.', '..', ';', '%25', '%61', '2e', '%C3%A9', '//'), { maxLength: 10 })
  .map((pieces) => `/${pieces.join('')}`)

test('what is forwarded is what was matched, below the service’s path and without dot segments', () => {
  fc.assert(
    fc.property(fc.array(rule, { minLength: 1, maxLength: 4 }), anyPath, (rules, raw) => {
      if (refusalOf(() => normalizePath(raw)) !== undefined) return
      const path = normalizePath(raw)
      const open = rules.map(({ name, paths, servicePath, stripPath }) => ({
        name,
        service,
        paths,
        servicePath,
        stripPath,
      }))
      const destination = { host: 'h', port: undefined, authority: 'h', path, query: '' }
      const match = atOnce(createRouter(open)).match({ destination, method: 'GET', rawHeaders: [] })
      if (match === undefined) return
      const { upstreamPath, strippedPrefix } = match
      const { servicePath = '/' } = match.route as RouteRule
      expect(path.startsWith(strippedPrefix)).toBe(true)
      expect(upstreamPath).toMatch(/^\/(?!\/)/)
      expect(upstreamPath.startsWith(servicePath.replace(/\/$/, ''))).toBe(true)
      expect(hasDotSegment(upstreamPath)).toBe(false)
      // Nothing is forwarded that was not in the path: the end of the one is the end of the other.
      const tail = upstreamPath.slice(servicePath.replace(/\/$/, '').length).replace(/^\//, '')
      expect(path.endsWith(tail)).toBe(true)
    }),
    { numRuns: 2000 },
  )
})
