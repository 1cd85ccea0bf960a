import { expect, test } from '@jest/globals'
import { OwedAnswers } from '../../../../src/listener/http1/owed-answers.ts'

const turn = () => new Promise((resolve) => setImmediate(resolve))

function owing(count: number): { readonly owed: OwedAnswers; readonly written: number[]; ready(answer: number): void } {
  const owed = new OwedAnswers()
  const written: number[] = []
  for (let i = 0; i < count; i++) owed.owe()
  const ready = (answer: number) =>
    owed.ready({
      flush: () => {
        written.push(answer)
        owed.settle()
      },
    })
  return { owed, written, ready }
}

test('an answer leaves at once where no other is owed', () => {
  const { ready, written } = owing(1)
  ready(1)
  expect(written).toEqual([1])
})

test('the last answer that is owed leaves at once, behind those that waited for it', () => {
  const { ready, written } = owing(3)
  ready(1)
  ready(2)
  expect(written).toEqual([])
  ready(3)
  expect(written).toEqual([1, 2, 3])
})

test('answers to half of those who wait leave with the turn in which they are ready', async () => {
  const { ready, written } = owing(4)
  ready(1)
  ready(2)
  await turn()
  expect(written).toEqual([1, 2])
})

test('fewer wait for one more turn, and leave with those of that turn', async () => {
  const { ready, written } = owing(10)
  ready(1)
  await turn()
  expect(written).toEqual([])
  ready(2)
  await turn()
  expect(written).toEqual([1, 2])
})

test('they do not wait for longer, whoever is waited for', async () => {
  const { ready, written } = owing(1000)
  ready(1)
  await turn()
  await turn()
  expect(written).toEqual([1])
})

test('an answer that becomes ready after others have left is not forgotten', async () => {
  const { owed, ready, written } = owing(2)
  ready(1)
  ready(2)
  for (let i = 0; i < 5; i++) owed.owe()
  ready(3)
  await turn()
  await turn()
  expect(written).toEqual([1, 2, 3])
  ready(4)
  await turn()
  await turn()
  expect(written).toEqual([1, 2, 3, 4])
})

test('whoever has left is not waited for', () => {
  const { owed, ready, written } = owing(2)
  owed.settle()
  ready(1)
  expect(written).toEqual([1])
})
