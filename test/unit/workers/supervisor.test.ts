import { expect, test } from '@jest/globals'
import { pauseAfter } from '../../../src/workers/supervisor.ts'

test('a worker that lived for a second is replaced at once, one that did not only after another second', () => {
  expect([0, 999, 1000, 86_400_000].map(pauseAfter)).toEqual([1000, 1000, 0, 0])
})
