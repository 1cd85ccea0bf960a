import { describe, expect, test } from '@jest/globals'
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

  test('may be none', () => {
    expect(parseScopes([], 10)).toEqual([])
    expect(parseScopes([''], 10)).toEqual([])
  })

  test('are bounded', () => {
    expect(parseScopes(['repository:a:pull repository:b:pull'], 1)).toBeNull()
  })
})
