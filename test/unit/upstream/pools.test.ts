import { expect, test } from '@jest/globals'
import { type PoolSpecification, Pools } from '../../../src/upstream/pools.ts'
import { ROOM } from './support.ts'

const limits = { readTimeout: 5000, idleTimeout: 5000, maxIdle: 8, maxRequests: 1000, maxConnections: 8 }
const PLAIN: PoolSpecification = {
  address: { host: 'api.test', port: 80 },
  tls: undefined,
  connectTimeout: 1000,
  namesStaleFor: 0,
  limits,
}

test('the same target with the same settings has one pool, also after a reload that uses it', () => {
  const pools = new Pools(ROOM.slots)
  const used = new Set<string>()
  const pool = pools.get(PLAIN, used)
  pools.retireAllBut(used)
  expect(pools.get(structuredClone(PLAIN), new Set())).toBe(pool)
  pools.retireAllBut(new Set())
  expect(pools.get(PLAIN, new Set())).not.toBe(pool)
})

test.each<[string, Partial<PoolSpecification>]>([
  ['address', { address: { host: 'api.test', port: 81 } }],
  ['connectTimeout', { connectTimeout: 2000 }],
  ['namesStaleFor', { namesStaleFor: 1000 }],
  ['limits', { limits: { ...limits, readTimeout: 1000 } }],
])('another %s is another pool', (_setting, other) => {
  const pools = new Pools(ROOM.slots)
  expect(pools.get({ ...PLAIN, ...other }, new Set())).not.toBe(pools.get(PLAIN, new Set()))
})
