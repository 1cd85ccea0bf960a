import { describe, expect, jest, test } from '@jest/globals'
import { parseScope, parseScopes } from '../../../src/registry/scope.ts'

describe('one scope', () => {
  test.each([
    ['repository:team/app:pull,push', { type: 'repository', name: 'team/app', actions: ['pull', 'push'] }],
    ['repository:localhost:5000/app:pull', { type: 'repository', name: 'localhost:5000/app', actions: ['pull'] }],
    ['repository(plugin):team/app:pull', { type: 'repository', name: 'team/app', actions: ['pull'] }],
    ['registry:catalog:*', { type: 'registry', name: 'catalog', actions: ['*'] }],
    ['repository:a:pull,pull', { type: 'repository', name: 'a', actions: ['pull'] }],
  ])('%s', (text, resource) => {
    expect(parseScope(text)).toEqual(resource)
  })

  test.each([
    '',
    'repository',
    'repository:team/app',
    'repository:team/app:',
    'repository::pull',
    'repository:a:PULL',
    'repository:a:pull push',
    'Repository:a:pull',
    'repository(:a:pull',
    `repository:${'a'.repeat(1000)}:pull`,
  ])('%j is none', (text) => {
    expect(parseScope(text)).toBeUndefined()
  })
})

describe('the scopes of a request', () => {
  test('are repeated, separated by spaces, or both; those of one resource become one', () => {
    expect(parseScopes(['repository:a:pull repository:b:pull', 'repository:a:push', 'nonsense'], 10)).toEqual([
      { type: 'repository', name: 'a', actions: ['pull', 'push'] },
      { type: 'repository', name: 'b', actions: ['pull'] },
    ])
  })

  test('cost each the same, however many name one resource', () => {
    const actions = Array.from({ length: 1000 }, (_, i) =>
      i.toString(26).replaceAll(/\d/g, (digit) => 'qrstuvwxyz'[+digit] as string),
    )
    const added = jest.spyOn(Set.prototype, 'add')
    const found = parseScopes(
      actions.map((action) => `repository:a:${action}`),
      1,
    )
    const times = added.mock.calls.length
    added.mockRestore()
    expect(found).toEqual([{ type: 'repository', name: 'a', actions }])
    expect(times).toBeLessThanOrEqual(3 * actions.length)
  })

  test('may be none', () => {
    expect(parseScopes([], 10)).toEqual([])
    expect(parseScopes([''], 10)).toEqual([])
  })

  test('are bounded', () => {
    expect(parseScopes(['repository:a:pull repository:b:pull'], 1)).toBeNull()
  })
})
