import { expect, test } from '@jest/globals'
import { FetchedStatements } from '../../../../src/runtime/revocation/fetched-statements.ts'

test('another statement of a source makes another edition, the same one does not', () => {
  const statements = new FetchedStatements()
  const editionAfter = (source: string, statement: string) => {
    statements.fetched(source, statement)
    return statements.edition
  }
  expect(editionAfter('one', 'nobody')).toBe(1)
  expect(editionAfter('one', 'nobody')).toBe(1)
  expect(editionAfter('two', 'nobody')).toBe(2)
  expect(editionAfter('one', 'mallory')).toBe(3)
  expect(editionAfter('one', 'nobody')).toBe(4)
})

test('several processes agree on the edition that one of them counts, also one that begins later', () => {
  const counting = new FetchedStatements()
  const workers = [new FetchedStatements(), new FetchedStatements()]
  counting.onChanged = (source, statement) => {
    for (const worker of workers) worker.learn(counting.edition, source, statement)
  }
  for (const worker of workers) worker.onFetched = (source, statement) => counting.fetched(source, statement)
  const heard: string[] = []
  const [one, two] = workers as [FetchedStatements, FetchedStatements]
  two.onChanged = (source, statement) => heard.push(`${source} ${statement}`)
  one.fetched('one', 'nobody')
  two.fetched('one', 'nobody')
  one.fetched('one', 'mallory')
  const late = new FetchedStatements()
  late.begin(counting.edition)
  expect([one, two, late].map(({ edition }) => edition)).toEqual([2, 2, 2])
  expect(heard).toEqual(['one nobody', 'one mallory'])
})
