import type { TLSSocket } from 'node:tls'
import { expect, test } from '@jest/globals'
import { describeConnection, UNIX_PEER } from '../../../src/listener/connection.ts'

const socket = {
  getProtocol: () => 'TLSv1.3',
  getCipher: () => ({ name: 'TLS_AES_256_GCM_SHA384' }),
  isSessionReused: () => false,
} as TLSSocket

test('each connection has an id of its own, however many there are', () => {
  const facts = { policy: 'p', peer: UNIX_PEER, shown: undefined, verification: { result: 'NONE' } } as const
  const ids = Array.from({ length: 5000 }, () => describeConnection(socket, facts).id)
  expect(ids.filter((id) => !/^[0-9a-f]{16}$/.test(id))).toEqual([])
  expect(new Set(ids).size).toBe(ids.length)
})
