import { expect, test } from '@jest/globals'
import { SerialQueue } from '../../src/serial-queue.ts'

/** Something that takes until it is told to end. */
function lasting() {
  let end: (outcome: boolean) => void = () => {}
  const ended = new Promise<boolean>((resolve) => {
    end = resolve
  })
  return { act: () => ended, end }
}

test('one begins when the one before is over, also where that failed', async () => {
  const queue = new SerialQueue()
  const first = lasting()
  const order: string[] = []
  const failing = queue.run('a', async () => {
    await first.act()
    order.push('a')
    throw new Error('no')
  })
  const second = queue.run('b', async () => order.push('b') > 0)
  first.end(true)
  await expect(failing).rejects.toThrow('no')
  expect(await second).toBe(true)
  expect(order).toEqual(['a', 'b'])
})

test('of a storm no more than one waits, and everybody hears how it went', async () => {
  const queue = new SerialQueue()
  const first = lasting()
  let count = 0
  const act = async () => {
    count += 1
    return count > 1 || first.act()
  }
  const underWay = queue.run('reload', act)
  await Promise.resolve()
  const storm = Array.from({ length: 100 }, () => queue.run('reload', act))
  first.end(false)
  expect(await underWay).toBe(false)
  expect(await Promise.all(storm)).toEqual(Array(100).fill(true))
  expect(count).toBe(2)
  await queue.idle
})

test('who asks while it is under way gets a turn of its own, as what it read may have changed since', async () => {
  const queue = new SerialQueue()
  let count = 0
  const act = async () => {
    count += 1
    return true
  }
  await queue.run('reload', act)
  await queue.run('reload', act)
  expect(count).toBe(2)
})
