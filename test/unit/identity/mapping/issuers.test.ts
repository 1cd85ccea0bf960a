import { generateKeyPairSync } from 'node:crypto'
import { expect, test } from '@jest/globals'
import { isIssuedBy } from '../../../../src/identity/mapping/issuers.ts'
import { factsOf } from '../../../support/facts.ts'
import { authority } from '../../../support/pki.ts'

const [staff, other] = [authority('staff'), authority('other')]
const impostor = other.authority('staff')
const known = [staff, other, impostor].map(factsOf)

test('an authority has issued what it signed, and what those below it signed', () => {
  expect(isIssuedBy(factsOf(staff.client('ada')), [factsOf(staff)], known)).toBe(true)
  expect(isIssuedBy(factsOf(impostor.client('ada')), [factsOf(other)], known)).toBe(true)
})

test('not what an intermediate of the same name signed that another authority certified', () => {
  expect(isIssuedBy(factsOf(impostor.client('ada')), [factsOf(staff)], known)).toBe(false)
})

test('nor what an authority of another name signed with the same key', () => {
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const [first, second] = [authority('first', { keys }), authority('second', { keys })]
  expect(isIssuedBy(factsOf(first.client('ada')), [factsOf(second)], [factsOf(first)])).toBe(false)
  expect(isIssuedBy(factsOf(first.client('ada')), [factsOf(first)], [factsOf(second)])).toBe(true)
})
