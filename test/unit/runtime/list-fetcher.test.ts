import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, expect, jest, test } from '@jest/globals'
import { createLog } from '../../../src/log.ts'
import { ListFetcher } from '../../../src/runtime/list-fetcher.ts'
import { type CertificateFacts, readCertificate } from '../../../src/tls-cert-utils/certificate.ts'
import { whenFileEnds } from '../../support/cleanup.ts'
import { explicit, implicit, sequence } from '../../support/der.ts'
import { type Authority, authority, extension, type Issued } from '../../support/pki.ts'

const server = createServer((_request, response) => response.end(served))
let served = ''
const root = authority('root')
const issuer = readCertificate(root.der)
let bob: CertificateFacts
let mallory: Issued
let outcomes: boolean[]
let fetcher: ListFetcher

beforeEach(async () => {
  if (!server.listening) {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    whenFileEnds(() => server.close())
  }
  const { port } = server.address() as AddressInfo
  const place = explicit(0, explicit(0, implicit(6, Buffer.from(`http://127.0.0.1:${port}/`, 'latin1'))))
  bob = readCertificate(root.client('bob', { extensions: [extension('2.5.29.31', sequence(sequence(place)))] }).der)
  mallory = root.client('mallory')
  outcomes = []
  jest.useFakeTimers({ now: Date.now(), doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask', 'setTimeout'] })
  fetcher = new ListFetcher(createLog({ level: 'silent' }), { crlFetched: (succeeded) => outcomes.push(succeeded) })
  fetcher.apply({ timeout: 5000, max_size: 65_536, max_lists: 10, interval: 10_000 })
})

afterEach(() => void jest.useRealTimers())

/** What is known of bob's issuer after `first` was fetched in a handshake, and `later` when it was time again. */
async function knownAfter(first: string, later: string): Promise<boolean> {
  served = first
  await fetcher.prepare([bob, issuer])
  served = later
  jest.advanceTimersByTime(15_000)
  while (outcomes.length < 2) await new Promise(setImmediate)
  return fetcher.lists(bob, issuer).some((list) => list.revokes(mallory.serial) && list.isSignedBy(issuer))
}

test('a newer list takes the place of the one in use', async () => {
  expect(await knownAfter(root.crl(), root.crl([mallory], { thisUpdate: 0 }))).toBe(true)
  expect(outcomes).toEqual([true, true])
})

const stranger: Authority = authority('root')

test.each<[string, () => string]>([
  ['of another key', () => root.crl([], { signer: stranger, thisUpdate: 0 })],
  ['of another authority', () => authority('other').crl()],
  ['that is older', () => root.crl([], { thisUpdate: -2 })],
])('a list %s does not, so that nobody can make a revocation forgotten', async (_what, later) => {
  expect(await knownAfter(root.crl([mallory]), later())).toBe(true)
  expect(outcomes).toEqual([true, false])
})

test('a list of the future gives way to the one that mends it', async () => {
  expect(await knownAfter(root.crl([], { thisUpdate: 3 }), root.crl([mallory]))).toBe(true)
})
