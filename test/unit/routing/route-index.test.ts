import { describe, expect, test } from '@jest/globals'
import { compileRules } from '../../../src/routing/candidate.ts'
import { RouteIndex } from '../../../src/routing/route-index.ts'
import { createRouter, type RouteRule } from '../../../src/routing/router.ts'
import { atOnce } from '../../../src/slices.ts'
import type { Service } from '../../../src/types.ts'
import fc from '../../support/random.ts'

const service: Service = { name: 'api', forward: async () => {}, upgrade: async () => {} }

const hosts = ['a.example', 'b.a.example', '*.example', '*.a.example', 'a.*', 'b.a.*', '[::1]', 'a.example:8443']
const paths = ['/', '/a', '/a/', '/ab', '/a/b', '/a/b/c', '~/a', '~/[ab]+$', '/b']
const methods = ['GET', 'POST']

function some(values: readonly string[]) {
  return fc.option(fc.uniqueArray(fc.constantFrom(...values), { maxLength: 3 }), { nil: undefined })
}

const rules = fc
  .array(fc.record({ hosts: some(hosts), paths: some(paths), methods: some(methods) }), { maxLength: 12 })
  .map((all) => all.map((fields, i): RouteRule => ({ ...fields, name: `r${i}`, service })))

const requests = fc.record({
  host: fc.constantFrom(
    'a.example',
    'b.a.example',
    'c.b.a.example',
    'a.org',
    'b.a.org',
    '[::1]',
    'other',
    '',
    'example',
  ),
  path: fc.constantFrom('/', '/a', '/a/', '/ab', '/abc', '/a/b', '/a/b/c/d', '/b', '/c'),
  method: fc.constantFrom('GET', 'POST', 'PUT'),
})

function ask(list: readonly RouteRule[], { host, path, method }: { host: string; path: string; method: string }) {
  const destination = { host, port: undefined, authority: host, path, query: '' }
  return atOnce(createRouter(list)).match({ destination, method, rawHeaders: [] })?.route.name
}

test('many routes together find what the first of them, each asked alone, would', () => {
  fc.assert(
    fc.property(rules, requests, (list, request) => {
      const together = ask(list, request)
      const alone = list.filter((rule) => ask([rule], request) !== undefined)
      // The winner of all is the winner of those that match at all: the others must not matter.
      expect(ask(alone, request)).toBe(together)
      expect(together === undefined).toBe(alone.length === 0)
      // And it wins against each of them.
      const winner = alone.find(({ name }) => name === together)
      for (const rule of alone) {
        if (winner && rule !== winner) {
          const pair = list.indexOf(winner) < list.indexOf(rule) ? [winner, rule] : [rule, winner]
          expect(ask(pair, request)).toBe(together)
        }
      }
    }),
    { numRuns: 2000 },
  )
})

describe('of ten thousand candidates a request asks hardly any', () => {
  const count = (list: readonly RouteRule[], host: string, path: string): number => {
    let asked = 0
    atOnce(RouteIndex.of(atOnce(compileRules(list)))).find(host, path, undefined, () => {
      asked += 1
      return false
    })
    return asked
  }
  const many = <T>(make: (i: number) => T) => Array.from({ length: 10_000 }, (_, i) => make(i))

  test('of hosts', () => {
    const list = many((i) => ({ name: `r${i}`, service, hosts: [`h${i}.example`], paths: ['/'] }))
    expect(count(list, 'h5000.example', '/x')).toBe(1)
    expect(count(list, 'other.example', '/x')).toBe(0)
  })
  test('of wildcard hosts', () => {
    const list = many((i) => ({ name: `r${i}`, service, hosts: [`*.h${i}.example`] }))
    expect(count(list, 'a.b.h5000.example', '/x')).toBe(1)
  })
  test('of paths', () => {
    const list = many((i) => ({ name: `r${i}`, service, paths: [`/service/${i}`] }))
    expect(count(list, 'a.example', '/service/1234/x')).toBe(4)
  })
  test('of paths of one host', () => {
    const list = many((i) => ({ name: `r${i}`, service, hosts: ['a.example'], paths: [`/${i}/`] }))
    expect(count(list, 'a.example', '/1234/x')).toBe(1)
  })
})
