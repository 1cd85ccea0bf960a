import { EventEmitter } from 'node:events'
import type { TLSSocket } from 'node:tls'
import { expect, jest, test } from '@jest/globals'
import { boundRenewals } from '../../../src/tls-cert-utils/renewals.ts'

/** What node:tls tells of an established connection. */
function connection(): { renew: (event: 'keylog' | 'session', times: number) => void; told: string[] } {
  const socket = new EventEmitter()
  const told: string[] = []
  boundRenewals(socket as TLSSocket, (reason) => told.push(reason))
  const renew = (event: string, times: number) => {
    for (let i = 0; i < times; i++) socket.emit(event, Buffer.alloc(0))
  }
  return { renew, told }
}

test.each(['keylog', 'session'] as const)('the first too many is told of, once: %s', (event) => {
  const { renew, told } = connection()
  renew(event, 64)
  expect(told).toEqual([])
  renew(event, 100)
  expect(told).toEqual(['new keys or sessions more than 64 times within 60 seconds'])
})

test('keys and sessions are counted together', () => {
  const { renew, told } = connection()
  renew('keylog', 40)
  renew('session', 25)
  expect(told).toHaveLength(1)
})

test('who renews them now and then may do so for ever', () => {
  const now = jest.spyOn(performance, 'now').mockReturnValue(0)
  const { renew, told } = connection()
  for (let minute = 1; minute < 10; minute++) {
    now.mockReturnValue(minute * 120_000)
    renew('keylog', 64)
  }
  now.mockRestore()
  expect(told).toEqual([])
})
