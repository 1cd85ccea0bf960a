import { describe, expect, test } from '@jest/globals'
import { ConnectionLimits } from '../../../src/listener/connection-limits.ts'
import type { Slots } from '../../../src/process/open-files.ts'

const NONE = { maxConnections: 1_000_000, connectionRateLimit: 0, maxConnectionsPerAddress: 0 }
const ROOM: Slots = { enter: () => true, leave: () => {} }

describe('max_connections', () => {
  test('gives each place back, and takes none of the process for whoever is refused', () => {
    const taken: number[] = []
    const slots = { enter: () => taken.push(1) > 0, leave: () => void taken.pop() }
    const limits = new ConnectionLimits({ ...NONE, maxConnections: 2 }, slots)
    expect([limits.come(), limits.come(), limits.come()]).toEqual([undefined, undefined, 'max_connections'])
    expect(taken).toHaveLength(2)
    limits.left()
    expect([limits.come(), limits.come()]).toEqual([undefined, 'max_connections'])
    expect(taken).toHaveLength(2)
  })
  test('the process may have none left before that', () => {
    const limits = new ConnectionLimits({ ...NONE, maxConnections: 1 }, { enter: () => false, leave: () => {} })
    expect([limits.come(), limits.come()]).toEqual(['open_files', 'open_files'])
  })
})

describe('connection_rate_limit', () => {
  test('lets so many come at once, and then so many per second', () => {
    const limits = new ConnectionLimits({ ...NONE, connectionRateLimit: 3 }, ROOM)
    const comers = (count: number, at: number) => Array.from({ length: count }, () => limits.come(at) === undefined)
    expect(comers(5, 1000)).toEqual([true, true, true, false, false])
    expect(comers(2, 1334)).toEqual([true, false])
    expect(comers(5, 60_000)).toEqual([true, true, true, false, false])
  })
  test('0 lets everybody come', () => {
    const limits = new ConnectionLimits(NONE, ROOM)
    expect(Array.from({ length: 1000 }, () => limits.come(1)).every((limit) => limit === undefined)).toBe(true)
  })
  test('a reload does not fill it up', () => {
    const limits = new ConnectionLimits({ ...NONE, connectionRateLimit: 2 }, ROOM)
    expect([limits.come(5), limits.come(5), limits.come(5)]).toEqual([undefined, undefined, 'connection_rate_limit'])
    limits.apply({ ...NONE, connectionRateLimit: 2 })
    expect(limits.come(5)).toBe('connection_rate_limit')
  })
})

describe('max_connections_per_address', () => {
  const of = (max: number) => new ConnectionLimits({ ...NONE, maxConnectionsPerAddress: max }, ROOM)

  test('counts each address by itself, and gives slots back', () => {
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
