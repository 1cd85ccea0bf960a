import { describe, expect, test } from '@jest/globals'
import { ConnectionLimits } from '../../../src/listener/connection-limits.ts'

describe('connection_rate_limit', () => {
  test('lets so many come at once, and then so many per second', () => {
    const limits = new ConnectionLimits({ connectionRateLimit: 3, maxConnectionsPerAddress: 0 })
    const comers = (count: number, at: number) => Array.from({ length: count }, () => limits.mayCome(at))
    expect(comers(5, 1000)).toEqual([true, true, true, false, false])
    expect(comers(2, 1334)).toEqual([true, false])
    expect(comers(5, 60_000)).toEqual([true, true, true, false, false])
  })
  test('0 lets everybody come', () => {
    const limits = new ConnectionLimits({ connectionRateLimit: 0, maxConnectionsPerAddress: 0 })
    expect(Array.from({ length: 1000 }, () => limits.mayCome(1)).every(Boolean)).toBe(true)
  })
  test('a reload does not fill it up', () => {
    const limits = new ConnectionLimits({ connectionRateLimit: 2, maxConnectionsPerAddress: 0 })
    expect([limits.mayCome(5), limits.mayCome(5), limits.mayCome(5)]).toEqual([true, true, false])
    limits.apply({ connectionRateLimit: 2, maxConnectionsPerAddress: 0 })
    expect(limits.mayCome(5)).toBe(false)
  })
})

describe('max_connections_per_address', () => {
  const of = (max: number) => new ConnectionLimits({ connectionRateLimit: 0, maxConnectionsPerAddress: max })

  test('counts each address by itself, and gives places back', () => {
    const limits = of(2)
    const leave = limits.enter('192.0.2.1')
    expect(limits.enter('192.0.2.1')).toBeDefined()
    expect(limits.enter('192.0.2.1')).toBeUndefined()
    expect(limits.enter('192.0.2.2')).toBeDefined()
    leave?.()
    expect(limits.enter('192.0.2.1')).toBeDefined()
    expect(limits.enter('192.0.2.1')).toBeUndefined()
  })

  test.each([
    ['192.0.2.1', '::ffff:192.0.2.1'],
    ['2001:db8:1:2::1', '2001:db8:1:2:ffff:ffff:ffff:ffff'],
    ['2001:db8::1', '2001:db8:0:0:1::'],
    ['::1', '::2'],
    ['fe80::1%eth0', 'fe80::2%eth1'],
  ])('%s and %s are one client', (one, other) => {
    const limits = of(1)
    expect(limits.enter(one)).toBeDefined()
    expect(limits.enter(other)).toBeUndefined()
  })

  test.each([
    ['192.0.2.1', '192.0.2.2'],
    ['2001:db8:1:2::1', '2001:db8:1:3::1'],
    ['2001:db8:0:1::', '2001:db8::1:0'],
  ])('%s and %s are two', (one, other) => {
    const limits = of(1)
    expect(limits.enter(one)).toBeDefined()
    expect(limits.enter(other)).toBeDefined()
  })
})
