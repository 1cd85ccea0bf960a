import { expect, test } from '@jest/globals'
import { Directory, type Domain } from '../../../src/identity-api/directory.ts'
import type { Users } from '../../../src/types.ts'

const domain: Domain = { id: 'default', name: 'Default' }
const project = { id: 'demo', name: 'demo', description: '', domain }
const scope = { kind: 'project', project } as const

function directoryOf(
  assignments: readonly { readonly user?: string; readonly group?: string; readonly role: string }[],
) {
  return new Directory({
    users: {} as Users,
    domains: [domain],
    projects: [project],
    assignments: assignments.map(({ role, ...who }) => ({ ...who, role: { id: role, name: role }, scope })),
    accounts: new Map(),
    applicationCredentials: new Map(),
    proofsOf: () => [],
  })
}

test('a user has his own roles and those of his groups, each once, in the order in which they were assigned', () => {
  const directory = directoryOf([
    { group: 'staff', role: 'reader' },
    { user: 'ada', role: 'member' },
    { group: 'others', role: 'admin' },
    { group: 'writers', role: 'reader' },
    { user: 'bob', role: 'admin' },
  ])
  const ada = { id: 'ada', name: 'ada', groups: ['writers', 'staff'], customId: undefined }
  expect(directory.rolesOf(ada, scope).map(({ name }) => name)).toEqual(['reader', 'member'])
})

test('the groups of a user are looked at once, however many roles are assigned', () => {
  let looks = 0
  const names = Array.from({ length: 100 }, (_, i) => `group ${i}`)
  const groups = new Proxy(names, {
    get(target, name, receiver) {
      if (/^\d+$/.test(String(name))) looks += 1
      return Reflect.get(target, name, receiver)
    },
  })
  const directory = directoryOf(Array.from({ length: 1000 }, (_, i) => ({ group: `other ${i}`, role: 'member' })))
  directory.rolesOf({ id: 'ada', name: 'ada', groups, customId: undefined }, scope)
  expect(looks).toBe(names.length)
})
