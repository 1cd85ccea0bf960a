import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals'
import type { LiveConnection } from '../../../src/listener/live-connection.ts'
import type { Objection } from '../../../src/listener/objection.ts'
import { StreamWatch } from '../../../src/listener/stream-watch.ts'
import { fakeConnection } from '../../support/fake-connection.ts'

beforeEach(() => void jest.useFakeTimers())
afterEach(() => void jest.useRealTimers())

interface Stream {
  streams: boolean
  readonly ended: boolean
  readonly connection: ReturnType<typeof fakeConnection>
  readonly socket: { destroyed: boolean; destroy(): void }
}

function stream(streams = true): Stream {
  const socket = {
    destroyed: false,
    destroy() {
      socket.destroyed = true
    },
  }
  return { streams, ended: false, connection: fakeConnection(), socket }
}

function watch(streams: readonly Stream[], objection: Objection) {
  const reasons: string[] = []
  const live = new Map(streams.map((each) => [each, each as unknown as LiveConnection]))
  const made = new StreamWatch(live, (_connection, reason) => reasons.push(reason), objection)
  made.start()
  return { reasons, made }
}

describe('a stream', () => {
  test('is cut in the round in which there is an objection, and what streams nothing is not asked about', async () => {
    const [stays, goes, idle] = [stream(), stream(), stream(false)]
    const { reasons, made } = watch([stays, goes, idle], async (_connection, { socket }) =>
      socket === stays.socket ? undefined : 'gone',
    )
    await jest.advanceTimersByTimeAsync(600)
    expect([stays, goes, idle].map(({ socket }) => socket.destroyed)).toEqual([false, true, false])
    expect(reasons).toEqual(['gone'])
    made.stop()
  })

  test('is left alone where it is over by the time of the answer', async () => {
    const over = stream()
    const { reasons, made } = watch([over], async () => {
      over.streams = false
      return 'gone'
    })
    await jest.advanceTimersByTimeAsync(600)
    expect([over.socket.destroyed, reasons]).toEqual([false, []])
    made.stop()
  })

  test.each<[string, Objection]>([
    [
      'throws',
      () => {
        throw new Error('away')
      },
    ],
    ['rejects', () => Promise.reject(new Error('away'))],
  ])('may go on for a moment while whoever is asked %s, and not for long', async (_, objection) => {
    const one = stream()
    const { reasons, made } = watch([one], objection)
    await jest.advanceTimersByTimeAsync(3000)
    expect(one.socket.destroyed).toBe(false)
    await jest.advanceTimersByTimeAsync(4000)
    expect(one.socket.destroyed).toBe(true)
    expect(reasons).toEqual(['nobody can tell whether it may go on: away'])
    made.stop()
  })

  test('that nobody could tell about begins anew with each answer', async () => {
    let away = true
    const one = stream()
    const { made } = watch([one], () => {
      if (away) throw new Error('away')
      return undefined
    })
    await jest.advanceTimersByTimeAsync(4000)
    away = false
    await jest.advanceTimersByTimeAsync(1000)
    away = true
    await jest.advanceTimersByTimeAsync(4000)
    expect(one.socket.destroyed).toBe(false)
    made.stop()
  })
})

test('many are asked about in one round, some at a time', async () => {
  const streams = Array.from({ length: 1000 }, () => stream())
  let [open, most] = [0, 0]
  const { made } = watch(streams, async () => {
    open += 1
    most = Math.max(most, open)
    await Promise.resolve()
    open -= 1
    return 'gone'
  })
  await jest.advanceTimersByTimeAsync(1000)
  expect(streams.every(({ socket }) => socket.destroyed)).toBe(true)
  expect(most).toBeLessThanOrEqual(100)
  made.stop()
})
