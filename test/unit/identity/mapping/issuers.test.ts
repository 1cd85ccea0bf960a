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
