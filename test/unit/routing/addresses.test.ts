import { describe, expect, test } from '@jest/globals'
import { createAddressSet, createPeerSet } from '../../../src/routing/addresses.ts'

const set = createAddressSet([
  '10.0.0.0/8',
  '192.0.2.7',
  '172.16.5.9/12',
  '2001:db8::/32',
  '::1',
  '::ffff:198.51.100.0/120',
])

describe('an address belongs to the set in whatever form the socket gives it', () => {
  test.each([
    ['10.1.2.3', true],
    ['11.1.2.3', false],
    ['::ffff:10.1.2.3', true],
    ['::FFFF:10.1.2.3', true],
    ['::ffff:a01:203', true],
    ['::ffff:11.1.2.3', false],
    ['192.0.2.7', true],
    ['192.0.2.8', false],
    ['172.31.255.255', true],
    ['172.32.0.0', false],
    ['2001:db8:1::1', true],
    ['2001:DB8:0:0::1', true],
    ['2001:db9::1', false],
    ['::1', true],
    ['0:0:0:0:0:0:0:1', true],
    ['::2', false],
    ['198.51.100.200', true],
    ['198.51.101.1', false],
    ['', false],
    ['localhost', false],
    ['10.1.2', false],
    ['010.1.2.3', false],
    ['10.1.2.3, 1.1.1.1', false],
    ['unix:', false],
  ])('%s: %s', (address, expected) => {
    expect(set.has(address)).toBe(expected)
    expect(set.has(address)).toBe(expected)
  })
})

test('a link-local peer is found with its zone', () => {
  expect(createAddressSet(['fe80::/10']).has('fe80::1%eth0')).toBe(true)
})

test('whole families and nothing', () => {
  expect(createAddressSet(['0.0.0.0/0']).has('203.0.113.9')).toBe(true)
  expect(createAddressSet(['0.0.0.0/0']).has('2001:db8::1')).toBe(false)
  expect(createAddressSet(['::/0']).has('2001:db8::1')).toBe(true)
  expect(createAddressSet([]).has('127.0.0.1')).toBe(false)
})

test('the cache stays right while many addresses come by', () => {
  for (let i = 0; i < 3000; i++) expect(set.has(`10.0.${i >> 8}.${i & 255}`)).toBe(true)
  for (let i = 0; i < 3000; i++) expect(set.has(`9.0.${i >> 8}.${i & 255}`)).toBe(false)
})

test.each([
  '',
  'localhost',
  '10.0.0.0/33',
  '::/129',
  '10.0.0.0/-1',
  '10.0.0.0/',
  '10.0.0/8',
  '10.0.0.0/8/8',
  'unix:',
  '*',
  '::ffff:10.0.0.0/8',
])('what is no network is refused by name: %j', (cidr) => {
  expect(() => createAddressSet(['10.0.0.0/8', cidr])).toThrow(`${JSON.stringify(cidr)} is not an address or network`)
})

test('whoever comes over a Unix socket is in a set of peers that names unix:, and in no other', () => {
  const peers = createPeerSet(['unix:', '10.0.0.0/8'])
  expect([peers.has('unix:'), peers.has('10.0.0.1'), peers.has('11.0.0.1'), peers.has('unix:/run/a')]).toEqual([
    true,
    true,
    false,
    false,
  ])
  expect(createPeerSet(['0.0.0.0/0', '::/0']).has('unix:')).toBe(false)
})
