import { setImmediate as nextTurn } from 'node:timers/promises'
import { expect, test } from '@jest/globals'
import { SmallPieces } from '../../../src/upstream/small-pieces.ts'

function taker() {
  const written: string[] = []
  const told: string[] = []
  const pieces = new SmallPieces({
    write: (bytes) => written.push(bytes.toString('latin1')),
    hold: () => told.push('hold'),
    goOn: () => told.push('go on'),
  })
  return { written, told, pieces, add: (text: string) => pieces.add(Buffer.from(text, 'latin1')) }
}

test('what comes in one turn leaves in one write, in its order', async () => {
  const { written, add } = taker()
  for (const text of ['a', 'bc', 'd']) add(text)
  expect(written).toEqual([])
  await nextTurn()
  expect(written).toEqual(['abcd'])
  add('e')
  await nextTurn()
  expect(written).toEqual(['abcd', 'e'])
})

test('a large piece does not wait, and leaves behind the small ones before it', () => {
  const { written, add } = taker()
  const large = 'x'.repeat(1024)
  add('a')
  add(large)
  expect(written).toEqual(['a', large])
})

test('16 KiB leave at once', () => {
  const { written, add } = taker()
  for (let i = 0; i < 33; i++) add('x'.repeat(512))
  expect(written.map(({ length }) => length)).toEqual([16 * 1024])
})

test('a turn takes no more than a thousand; the next one goes on', async () => {
  const { written, told, add } = taker()
  for (let i = 0; i < 1100; i++) add('x')
  expect(told).toEqual(['hold'])
  await nextTurn()
  expect([told, written.join('').length]).toEqual([['hold', 'go on'], 1100])
  add('x')
  await nextTurn()
  expect(told).toEqual(['hold', 'go on'])
})

test('what is dropped is never written', async () => {
  const { written, pieces, add } = taker()
  add('a')
  pieces.drop()
  await nextTurn()
  expect(written).toEqual([])
})
