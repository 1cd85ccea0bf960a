import { expect, test } from '@jest/globals'
import { watchUnread } from '../../../src/upstream/unread.ts'
import { pause, waitFor } from '../../support/wait.ts'
import { socketPair } from './support.ts'

/** More than the buffers of both kernels hold. */
const MUCH = Buffer.alloc(20_000_000)

test('a peer that reads nothing loses its connection after the timeout, not before', async () => {
  const { near, far } = await socketPair()
  far.pause()
  near.write(MUCH)
  watchUnread(near, 1000)
  const startedAt = performance.now()
  await waitFor('the end', () => near.destroyed)
  expect(performance.now() - startedAt).toBeGreaterThan(1000)
})

test('a peer that reads keeps it', async () => {
  const { near, far } = await socketPair()
  far.resume()
  for (let i = 0; i < 12; i++) {
    near.write('some')
    watchUnread(near, 200)
    await pause(150)
  }
  expect(near.destroyed).toBe(false)
})

test('once everything has left, nothing is watched any more', async () => {
  const { near, far } = await socketPair()
  far.resume()
  near.write('all')
  watchUnread(near, 200)
  await pause(1500)
  expect(near.destroyed).toBe(false)
})
