import { describe, expect, test } from '@jest/globals'
import { createRoundRobin, type Target } from '../../../src/upstream/balancer.ts'

const target = (name: string, weight: number): Target => ({ name, host: name, port: 443, weight })
const none: ReadonlySet<Target> = new Set()

function picks(targets: readonly Target[], count: number, tried = none): string {
  const balancer = createRoundRobin(targets)
  return Array.from({ length: count }, () => balancer.pick(tried)?.name ?? '-').join('')
}

describe('weights', () => {
  test("nginx's smooth order for 5, 1, 1", () => {
    expect(picks([target('a', 5), target('b', 1), target('c', 1)], 14)).toBe('aabacaaaabacaa')
  })
  test('equal weights take turns', () => {
    expect(picks([target('a', 3), target('b', 3)], 6)).toBe('ababab')
  })
  test.each([[[1, 1]], [[100, 1]], [[7, 3, 2]], [[65535, 65534, 1]]])(
    'each gets its share of a round: %j',
    (weights) => {
      const total = Math.min(
        weights.reduce((sum, weight) => sum + weight, 0),
        1300,
      )
      const targets = weights.map((weight, i) => target(String.fromCharCode(97 + i), weight))
      const seen = picks(targets, total)
      const sum = weights.reduce((all, weight) => all + weight, 0)
      for (const { name, weight } of targets) {
        expect(Math.abs(seen.split(name).length - 1 - (total * weight) / sum)).toBeLessThanOrEqual(1)
      }
    },
  )
  test('0 is never picked', () => {
    expect(picks([target('a', 0), target('b', 1), target('c', 0)], 4)).toBe('bbbb')
    expect(picks([target('a', 0), target('b', 1), target('c', 2)], 6)).not.toContain('a')
  })
  test('nothing to pick', () => {
    expect(picks([], 2)).toBe('--')
    expect(picks([target('a', 0)], 2)).toBe('--')
  })
})

describe('tried ones', () => {
  const a = target('a', 5)
  const b = target('b', 1)
  test('are left out, whatever they weigh', () => {
    expect(picks([a, b], 3, new Set([a]))).toBe('bbb')
  })
  test('a single target is left out, too', () => {
    expect(picks([a], 2, new Set([a]))).toBe('--')
  })
  test('all of them leave nothing', () => {
    expect(picks([a, b], 2, new Set([a, b]))).toBe('--')
  })
  test('a failure of one does not give it more afterwards', () => {
    const balancer = createRoundRobin([a, b])
    for (let i = 0; i < 60; i++) balancer.pick(new Set([a]))
    const after = Array.from({ length: 60 }, () => balancer.pick(none)?.name)
    expect(after.filter((name) => name === 'b').length).toBe(10)
  })
})

describe('thousands of targets', () => {
  const many = Array.from({ length: 3000 }, (_, i) => target(`t${i}`, i % 3 === 0 ? 2 : 1))

  test('each gets its share of a round', () => {
    const balancer = createRoundRobin(many)
    const seen = new Map<string, number>()
    for (let i = 0; i < 4000; i++) {
      const name = balancer.pick(none)?.name ?? '-'
      seen.set(name, (seen.get(name) ?? 0) + 1)
    }
    expect(many.every(({ name, weight }) => seen.get(name) === weight)).toBe(true)
  })

  test('those that were tried are left out', () => {
    const tried = new Set(many.slice(0, 10))
    const balancer = createRoundRobin(many)
    const seen = new Set(Array.from({ length: 4000 }, () => balancer.pick(tried)))
    expect(seen.size).toBe(2990)
    expect([...tried].some((each) => seen.has(each))).toBe(false)
    expect(createRoundRobin(many).pick(new Set(many))).toBeUndefined()
  })

  test('a pick takes no longer than among three', () => {
    const time = (targets: readonly Target[]) => {
      const balancer = createRoundRobin(targets)
      const once = () => {
        const before = process.cpuUsage().user
        for (let i = 0; i < 20_000; i++) balancer.pick(none)
        return process.cpuUsage().user - before
      }
      return Math.min(once(), once(), once())
    }
    // Looked at one by one it would be a thousand times.
    expect(time(many)).toBeLessThan(50 * Math.max(time(many.slice(0, 3)), 1000))
  })
})
