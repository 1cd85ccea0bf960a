import { types } from 'node:util'
import { expect, test } from '@jest/globals'
import { type FiledRule, RuleTable } from '../../../../src/identity/mapping/rule-table.ts'
import fc from '../../../support/random.ts'

const word = fc.string({ unit: 'grapheme', maxLength: 8 }).map((text) => text.replace(/\p{Cc}/gu, ''))
const filled = word.filter((text) => text !== '')
const list = fc.array(filled, { maxLength: 3 })
// Few keys, so that many rules share one.
const keys = fc.uniqueArray(fc.constantFrom<string[]>('email:a', 'email:b', 'dn:ä,x', 'cn:', 'cn:a'), { minLength: 1 })
const rule = fc.record({ user: filled, certificates: list, groups: list, issuer: word, keys })

function tableOf(rules: readonly FiledRule[]): RuleTable {
  const table = new RuleTable()
  for (const each of rules) table.add(each)
  return table
}

test('every rule is found by its keys and no others, in the order of the file, here and in another thread', () => {
  fc.assert(
    fc.property(fc.array(rule, { maxLength: 40 }), (given) => {
      const rules = given.map((each, i) => ({ line: i + 2, ...each }))
      const table = tableOf(rules)
      for (const each of [table, RuleTable.fromParts(structuredClone(table.parts))]) {
        expect(each.size).toBe(rules.length)
        for (const key of ['email:a', 'email:b', 'dn:ä,x', 'cn:', 'cn:a', 'uri:a'])
          expect(each.withKey(key)).toEqual(rules.filter(({ keys: own }) => own.includes(key)))
      }
    }),
  )
})

test('a key that has the hash of another one finds nothing of it', () => {
  const rule = { line: 2, user: 'ada', certificates: [], groups: [], issuer: '' }
  const partsOf = (key: string) => {
    const table = new RuleTable(1)
    table.add({ ...rule, keys: [key] })
    return table.parts
  }
  const { slots, hashes } = partsOf('cn:mallory')
  const table = RuleTable.fromParts({ ...partsOf('cn:ada'), slots, hashes })
  expect(table.withKey('cn:mallory')).toEqual([])
})

test('it grows', () => {
  const rules = Array.from({ length: 20_000 }, (_, i) => {
    return { line: i + 2, user: `user${i}`, certificates: [`cn:${i}`], groups: [], issuer: '', keys: [`cn:${i}`] }
  })
  const table = tableOf(rules)
  for (const i of [0, 1, 1023, 1024, 4095, 9999, 19_999]) expect(table.withKey(`cn:${i}`)).toEqual([rules[i]])
  expect(table.withKey('cn:20000')).toEqual([])
  expect([...table.kinds]).toEqual(['cn'])
})

test('another thread gets nothing whose memory V8 would stop everything for when it comes', () => {
  const { bytes, starts, slots, hashes } = tableOf([]).parts
  for (const { buffer } of [bytes, starts, slots, hashes]) expect(types.isSharedArrayBuffer(buffer)).toBe(true)
})
