import { describe, expect, test } from '@jest/globals'
import { TicketKeys } from '../../../src/listener/ticket-keys.ts'

const PERIOD = 60_000
const secret = { bytes: Buffer.alloc(32, 1), since: 1000 }
const keysOf = (context = 'policy', of = secret) => new TicketKeys(of, context, PERIOD)
const atStart = (basis: string) => keysOf().renewed(1000, basis)?.toString('hex')

describe('ticket keys', () => {
  test('are the same in every process that shares the secret, also in one that is started later', () => {
    const early = keysOf()
    early.renewed(1000, 'a list')
    const now = 1000 + 2 * PERIOD
    expect(early.renewed(now, 'another list')).toEqual(keysOf().renewed(now, 'another list'))
  })

  test('are given once for as long as nothing changes', () => {
    const keys = keysOf()
    expect(keys.renewed(1000, 'a list')).toHaveLength(48)
    expect(keys.renewed(999 + PERIOD, 'a list')).toBeUndefined()
  })

  test('change with the period and with what clients are judged by', () => {
    const keys = keysOf()
    const at = (time: number, basis: string) => keys.renewed(time, basis)?.toString('hex')
    const given = [at(1000, 'a list'), at(1000, 'another list'), at(1000 + PERIOD, 'another list')]
    expect(new Set([...given, undefined]).size).toBe(4)
  })

  test('belong to one policy and one secret', () => {
    const [key, ...others] = [
      keysOf().renewed(1000, ''),
      keysOf('other').renewed(1000, ''),
      keysOf('policy', { ...secret, bytes: Buffer.alloc(32, 2) }).renewed(1000, ''),
    ]
    for (const other of others) expect(other).not.toEqual(key)
  })

  test('of a list that comes back are those that sessions under that list were made with, and no others', () => {
    expect(atStart('a list')).toBe(atStart('a list'))
    expect(atStart('another list')).not.toBe(atStart('a list'))
  })
})
