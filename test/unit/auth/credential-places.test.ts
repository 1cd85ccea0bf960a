import { expect, test } from '@jest/globals'
import { placesOf, showsCredential } from '../../../src/auth/credential-places.ts'
import { withoutKeys } from '../../../src/auth/query-keys.ts'
import { absent, caller, method } from './support.ts'

const basic = method('password', absent, {
  credential: { isHeader: (name, value) => name === 'authorization' && value.startsWith('Basic ') },
})
const key = method('api-key', absent, {
  credential: { isHeader: (name) => name === 'apikey', queryKeys: new Set(['apikey']) },
})
const certificate = method('certificate', absent)

test('the places of several methods are those of each, and receipts besides', () => {
  const { isHeader, queryKeys } = placesOf([basic, certificate, key])
  const found = (name: string, value = '') => isHeader?.(name, value)
  expect([found('authorization', 'Basic x'), found('apikey'), found('openstack-auth-receipt')]).toEqual([
    true,
    true,
    true,
  ])
  // Another scheme is for the backend.
  expect([found('authorization', 'Bearer x'), found('cookie')]).toEqual([false, false])
  expect([...(queryKeys ?? [])]).toEqual(['apikey'])
})

test('without methods that read queries nothing is taken from them', () => {
  expect(placesOf([basic]).queryKeys).toBeUndefined()
  expect(placesOf([]).isHeader?.('openstack-auth-receipt', '')).toBe(true)
})

test.each([
  ['in a header', { headers: ['Authorization', 'Basic eA=='] }, basic, true],
  ['in a header of another scheme', { headers: ['Authorization', 'Bearer eA=='] }, basic, false],
  ['in a header in capitals', { headers: ['APIKEY', ''] }, key, true],
  ['in the query', { query: '?x=1&apikey=2' }, key, true],
  ['in the query, written otherwise', { query: '?%61pikey=' }, key, true],
  ['nowhere', { headers: ['Accept', '*/*'], query: '?xapikey=1' }, key, false],
  ['in the handshake', {}, certificate, false],
])('a credential %s', (_, facts, by, expected) => {
  expect(showsCredential(caller(facts), by)).toBe(expected)
})

test('what shows a credential is what is removed', () => {
  const keys = new Set(['apikey'])
  for (const query of [
    '?apikey=1',
    '?%61pikey=1',
    '?a=1&apikey',
    '?apikey=1&apikey=2',
    '?api+key=1',
    '?APIKEY=1',
    '?',
  ]) {
    const left = withoutKeys(query, keys)
    expect([query, showsCredential(caller({ query: left }), key)]).toEqual([query, false])
    expect(left === query).toBe(!showsCredential(caller({ query }), key))
  }
})
