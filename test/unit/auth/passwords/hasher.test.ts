import { expect, test } from '@jest/globals'
import bcrypt from 'bcryptjs'
import { Hasher } from '../../../../src/auth/passwords/hasher.ts'

const hash = await bcrypt.hash('right', 10)

test('hashes on another thread: this one goes on meanwhile', async () => {
  const hasher = new Hasher({ threads: 1, queue: 10 })
  let ticks = 0
  const ticking = setInterval(() => ticks++, 1)
  const checked = await Promise.all([hasher.matches('right', hash), hasher.matches('wrong', hash)])
  clearInterval(ticking)
  expect(checked).toEqual([true, false])
  // Two bcrypt hashes of cost 10 take a tenth of a second and more; on this thread there would be no tick at all.
  expect(ticks).toBeGreaterThan(5)
})

test('more than may wait are refused, and the others are answered', async () => {
  const hasher = new Hasher({ threads: 1, queue: 2 })
  const answers = [hasher.matches('right', hash), hasher.matches('right', hash), hasher.matches('wrong', hash)]
  expect(() => hasher.matches('right', hash)).toThrow(/GW_OVERLOADED/)
  expect(await Promise.all(answers)).toEqual([true, true, false])
})

test('a thread that breaks is no answer, and the next one works', async () => {
  const hasher = new Hasher({ threads: 1, queue: 2 })
  const notText = 5 as unknown as string
  await expect(hasher.matches('x', notText)).rejects.toMatchObject({ code: 'GW_UNDECIDED' })
  expect(await hasher.matches('right', hash)).toBe(true)
})
