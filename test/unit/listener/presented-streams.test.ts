import { Socket } from 'node:net'
import { afterEach, beforeEach, expect, jest, test } from '@jest/globals'
import { type Latest, PresentedStreams } from '../../../src/listener/presented-streams.ts'

beforeEach(() => {
  jest.useFakeTimers()
})
afterEach(() => {
  jest.useRealTimers()
})

const FAILED = { result: 'FAILED', code: 'CERT_HAS_EXPIRED', reason: 'certificate has expired' }

/** A client whom a server lets in, and refuses from then on. */
function briefly(): Latest {
  const by = { judge: () => FAILED, accepts: ({ result }: { result: string }) => result === 'SUCCESS' }
  return { shown: {}, connection: { verification: { result: 'SUCCESS' } }, by } as unknown as Latest
}

function endedAfter(prepare: (socket: Socket) => void): number {
  const ended = jest.fn()
  const streams = new PresentedStreams(ended)
  const socket = new Socket()
  prepare(socket)
  streams.note(socket, briefly())
  jest.advanceTimersByTime(1000)
  return ended.mock.calls.length
}

test('a connection ends with its client, and one that has closed while its client was judged is not kept', () => {
  expect(endedAfter(() => {})).toBe(1)
  expect(endedAfter((socket) => socket.destroy())).toBe(0)
})
