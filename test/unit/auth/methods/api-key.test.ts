import { createHash } from 'node:crypto'
import { expect, test } from '@jest/globals'
import { type ApiKeyOptions, createApiKeyMethod } from '../../../../src/auth/methods/api-key.ts'
import { ada, bob, type CallerFacts, caller } from '../support.ts'

const digest = createHash('sha256').update('key of bob').digest('hex')

function make(options: Partial<ApiKeyOptions> = {}) {
  return createApiKeyMethod({
    ...{ realm: 'test', keyNames: ['ApiKey', 'x-key'], inHeader: true, inQuery: true },
    keys: [
      { user: ada, key: 'key of ada', credential: 'k1' },
      { user: bob, key: `sha256:${digest}`, credential: undefined },
    ],
    ...options,
  })
}
const ask = (facts: CallerFacts, options: Partial<ApiKeyOptions> = {}) => make(options).authenticate(caller(facts))

test.each<[string, CallerFacts]>([
  ['in a header', { headers: ['ApiKey', 'key of ada'] }],
  ['in a header in another letter case', { headers: ['APIKEY', 'key of ada'] }],
  ['under another of the names', { headers: ['X-Key', 'key of ada'] }],
  ['in the query', { query: '?a=1&ApiKey=key%20of+ada' }],
  ['under a name that is written otherwise', { query: '?%41piKey=key%20of%20ada' }],
])('a key %s is its user’s', (_, facts) => {
  expect(ask(facts)).toMatchObject({ status: 'accepted', user: ada, credential: 'k1' })
})

test('a key may stand in the configuration by its digest, which itself opens nothing', () => {
  expect(ask({ headers: ['apikey', 'key of bob'] })).toMatchObject({ status: 'accepted', user: bob })
  for (const guess of [digest, `sha256:${digest}`]) {
    expect(ask({ headers: ['apikey', guess] })).toMatchObject({ status: 'denied' })
  }
})

test.each<[string, CallerFacts]>([
  ['nobody has', { headers: ['apikey', 'key of eve'] }],
  ['differs by a letter', { headers: ['apikey', 'key of adA'] }],
  ['is one of two', { headers: ['apikey', 'key of ada', 'x-key', 'key of ada'] }],
  ['is one of two, in the query', { headers: ['apikey', 'key of ada'], query: '?ApiKey=key%20of%20ada' }],
])('a key that %s is refused', (_, facts) => {
  expect(ask(facts)).toMatchObject({ status: 'denied' })
})

test('no key, or an empty one, says nothing', () => {
  expect(ask({})).toEqual({ status: 'absent' })
  expect(ask({ headers: ['apikey', ''] })).toEqual({ status: 'absent' })
})

test('counts only where it may stand, and only there it is a credential', () => {
  const inHeader = { headers: ['apikey', 'key of ada'] }
  const inQuery = { query: '?ApiKey=key%20of%20ada' }
  expect(ask(inHeader, { inHeader: false })).toEqual({ status: 'absent' })
  expect(ask(inQuery, { inQuery: false })).toEqual({ status: 'absent' })
  // The names of parameters have letter case.
  expect(ask({ query: '?apikey=key%20of%20ada' })).toEqual({ status: 'absent' })
  const { credential } = make({ inHeader: false })
  expect([credential?.isHeader?.('apikey', ''), [...(credential?.queryKeys ?? [])]]).toEqual([
    false,
    ['ApiKey', 'x-key'],
  ])
  expect([...(make({ inQuery: false }).credential?.queryKeys ?? [])]).toEqual([])
})

test('its proof stands for the user until the key is taken back', () => {
  const outcome = ask({ headers: ['apikey', 'key of ada'] })
  const proof = 'proof' in outcome ? String(outcome.proof) : ''
  expect(proof).not.toContain('key of ada')
  expect(make().ownerOf?.(proof, ada)).toBe(ada)
  expect(make({ keys: [{ user: ada, key: 'another', credential: undefined }] }).ownerOf?.(proof, ada)).toBeUndefined()
})
