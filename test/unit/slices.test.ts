import { describe, expect, test } from '@jest/globals'
import { atOnce, inSlices, inTurns, type Slices } from '../../src/slices.ts'

/** Takes so many milliseconds, one by one. */
function* busy(milliseconds: number): Slices<string> {
  for (let i = 0; i < milliseconds; i++) {
    for (const end = performance.now() + 1; performance.now() < end; );
    yield
  }
  return 'done'
}

describe('long work', () => {
  test('runs at once where nobody waits', () => {
    expect(atOnce(busy(3))).toBe('done')
  })

  test('lets others have their turn in between', async () => {
    let turns = 0
    const others = setInterval(() => turns++)
    expect(await inSlices(busy(60))).toBe('done')
    clearInterval(others)
    expect(turns).toBeGreaterThan(3)
  })

  test('leaves what follows to another turn where its last step has taken all of this one', async () => {
    function* lateWork(): Slices<void> {
      yield
      for (const end = performance.now() + 5; performance.now() < end; );
    }
    let turns = 0
    setImmediate(() => turns++)
    await inSlices(lateWork())
    expect(turns).toBe(1)
  })

  test('fails as it would at once', async () => {
    function* broken(): Slices<never> {
      yield
      throw new Error('broken')
    }
    expect(() => atOnce(broken())).toThrow('broken')
    await expect(inSlices(broken())).rejects.toThrow('broken')
  })
})

test('long work that waits in between lets others have their turn once its slice is over, and only then', async () => {
  expect(Array.from({ length: 100 }, () => inTurns()())).toContain(undefined)
  const turn = inTurns()
  for (const end = performance.now() + 5; performance.now() < end; );
  let turns = 0
  setImmediate(() => turns++)
  await turn()
  expect(turns).toBe(1)
})
