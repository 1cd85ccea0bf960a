import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { createLog } from '../../../../src/log/log.ts'
import { FetchedStatements } from '../../../../src/runtime/revocation/fetched-statements.ts'
import { ListFetcher } from '../../../../src/runtime/revocation/list-fetcher.ts'
import { type CertificateFacts, readCertificate } from '../../../../src/tls-cert-utils/certificate.ts'
import { whenFileEnds } from '../../../support/cleanup.ts'
import { explicit, implicit, sequence } from '../../../support/der.ts'
import { type Authority, authority, extension, type Issued } from '../../../support/pki.ts'

const server = createServer(({ url }, response) => {
  asked.push(String(url))
  response.end(served)
})
let asked: string[] = []
let address: string
let served = ''
const root = authority('root')
const issuer = readCertificate(root.der)
let bob: CertificateFacts
let mallory: Issued
let outcomes: boolean[]
let fetcher: ListFetcher
let statements: FetchedStatements

/** One whose certificate names these places, each in a distribution point of its own. */
function clientWith(...paths: string[]): CertificateFacts {
  const points = paths.map((path) =>
    sequence(explicit(0, explicit(0, implicit(6, Buffer.from(new URL(path, address).href, 'latin1'))))),
  )
  return readCertificate(root.client('bob', { extensions: [extension('2.5.29.31', sequence(...points))] }).der)
}

beforeEach(async () => {
  if (!server.listening) {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    whenFileEnds(() => server.close())
  }
  asked = []
  address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  bob = clientWith('/')
  mallory = root.client('mallory')
  outcomes = []
  jest.useFakeTimers({ now: Date.now(), doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask', 'setTimeout'] })
  statements = new FetchedStatements()
  const metrics = { crlFetched: (succeeded: boolean) => outcomes.push(succeeded) }
  fetcher = new ListFetcher(createLog({ level: 'silent' }), metrics, statements)
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
  [
    'beside one of another key',
    () => root.crl([], { thisUpdate: 0 }) + root.crl([], { signer: stranger, thisUpdate: 0 }),
  ],
])('a list %s does not, so that nobody can make a revocation forgotten', async (_what, later) => {
  expect(await knownAfter(root.crl([mallory]), later())).toBe(true)
  expect(outcomes).toEqual([true, false])
})

test('a clock that is set back a day after a fetch that failed keeps no list from being fetched', async () => {
  await fetcher.prepare([bob, issuer])
  expect(outcomes).toEqual([false])
  jest.setSystemTime(Date.now() - 86_400_000)
  served = root.crl([mallory], { thisUpdate: -48 })
  await fetcher.prepare([bob, issuer])
  expect(outcomes).toEqual([false, true])
})

/** Only about the certificates of users, or of authorities (RFC 5280 5.2.5). */
const only = (tag: number) => ({
  extensions: [extension('2.5.29.28', sequence(implicit(tag, Buffer.from([0xff]))), true)],
})

test('a list is compared with its like: lists of users and of authorities have dates of their own', async () => {
  const both = () => root.crl([], { ...only(1), thisUpdate: 0 }) + root.crl([], { ...only(2), thisUpdate: -2 })
  await knownAfter(both(), both())
  expect(outcomes).toEqual([true, true])
  expect(fetcher.lists(bob, issuer)).toHaveLength(2)
})

test.each([
  ['beside requests', 101],
  ['by a thread', 1500],
])(
  'an answer with more than a hundred lists is refused, read %s: each client would be judged by all of them',
  async (_where, copies) => {
    served = root.crl([mallory]).repeat(copies)
    fetcher.apply({ timeout: 5000, max_size: 1_000_000, max_lists: 10, interval: 10_000 })
    await fetcher.prepare([bob, issuer])
    expect(fetcher.lists(bob, issuer)).toEqual([])
    expect(outcomes).toEqual([false])
  },
)

test('a list that has not changed is no failure, and nobody is judged again for it', async () => {
  let judged = 0
  fetcher.onReplaced = () => judged++
  const same = root.crl()
  await knownAfter(same, same)
  expect([outcomes, judged]).toEqual([[true, true], 0])
})

test('whoever is connected is judged again when a list is replaced, and not for the first one', async () => {
  let judged = 0
  fetcher.onReplaced = () => judged++
  served = root.crl()
  await fetcher.prepare([bob, issuer])
  expect(judged).toBe(0)
  await knownAfter(root.crl(), root.crl([mallory], { thisUpdate: 0 }))
  expect(judged).toBe(1)
})

test('a list that expires before the interval is over is fetched a minute before', async () => {
  fetcher.apply({ timeout: 5000, max_size: 65_536, max_lists: 10, interval: 3_600_000 })
  served = root.crl([], { nextUpdate: 3 / 1440 })
  await fetcher.prepare([bob, issuer])
  jest.advanceTimersByTime(105_000)
  expect(asked).toEqual(['/'])
  jest.advanceTimersByTime(30_000)
  while (outcomes.length < 2) await new Promise(setImmediate)
  expect(asked).toEqual(['/', '/'])
})

test('an address that gave no list is left alone for five seconds, however many handshakes want it', async () => {
  served = 'nothing'
  await fetcher.prepare([bob, issuer])
  expect(fetcher.prepare([bob, issuer])).toBeUndefined()
  expect(fetcher.lists(bob, issuer)).toEqual([])
  jest.setSystemTime(Date.now() + 4999)
  expect(fetcher.prepare([bob, issuer])).toBeUndefined()
  served = root.crl()
  jest.setSystemTime(Date.now() + 1)
  await fetcher.prepare([bob, issuer])
  expect(fetcher.lists(bob, issuer)).toHaveLength(1)
  expect(asked).toHaveLength(2)
})

test('a list that is known is fetched for no handshake', async () => {
  served = root.crl()
  await fetcher.prepare([bob, issuer])
  jest.setSystemTime(Date.now() + 3_600_000)
  expect(fetcher.prepare([bob, issuer])).toBeUndefined()
  expect(fetcher.lists(bob, issuer)).toHaveLength(1)
  expect(fetcher.prepare([bob, issuer])).toBeUndefined()
})

test('beyond max_lists the one goes that nobody has needed for the longest time', async () => {
  fetcher.apply({ timeout: 5000, max_size: 65_536, max_lists: 2, interval: 10_000 })
  served = root.crl()
  const [a, b, c] = ['/a', '/b', '/c'].map((path) => clientWith(path)) as [
    CertificateFacts,
    CertificateFacts,
    CertificateFacts,
  ]
  await fetcher.prepare([a, issuer])
  await fetcher.prepare([b, issuer])
  fetcher.lists(a, issuer)
  await fetcher.prepare([c, issuer])
  expect(fetcher.inUse).toHaveLength(2)
  expect(fetcher.prepare([a, issuer])).toBeUndefined()
  await fetcher.prepare([b, issuer])
  expect(asked).toEqual(['/a', '/b', '/c', '/b'])
})

test.each([
  ['longer than any real one', `/${'x'.repeat(2048)}`],
  ['of another protocol', 'https://127.0.0.1/root.crl'],
])('an address %s is not asked', async (_what, address) => {
  expect(fetcher.prepare([clientWith(address), issuer])).toBeUndefined()
})

test.each<[string, () => string, number]>([
  ['revokes others ends sessions', () => root.crl([mallory], { thisUpdate: 0 }), 2],
  ['only renews it leaves them', () => root.crl([], { thisUpdate: 0 }), 1],
])('a list that %s', async (_what, later, edition) => {
  await knownAfter(root.crl(), later())
  expect(fetcher.edition).toBe(edition)
})

describe('a list that another worker has got', () => {
  const sourceOfBob = () => `${issuer.publicKeySha256} ${address}/`

  /** How many questions there were, how often others were told of an answer, and whether mallory is known to be revoked. */
  async function afterNewsOf(statement: () => string, now: string): Promise<[number, number, boolean]> {
    const told: string[] = []
    statements.onFetched = (source, own) => source.endsWith('/') && told.push(source, own)
    served = root.crl()
    await fetcher.prepare([bob, issuer])
    const [source, own = ''] = told
    expect(source).toBe(sourceOfBob())
    served = now
    statements.learn(5, sourceOfBob(), statement() || own)
    expect(fetcher.edition).toBe(5)
    // Whatever is asked for has been asked before this.
    await fetcher.prepare([clientWith('/last'), issuer])
    const questions = asked.filter((path) => path === '/').length
    while (outcomes.length < asked.length) await new Promise(setImmediate)
    return [questions, told.length / 2, fetcher.lists(bob, issuer).some((list) => list.revokes(mallory.serial))]
  }

  test('is fetched at once', async () => {
    expect(await afterNewsOf(() => 'another', root.crl([mallory], { thisUpdate: 0 }))).toEqual([2, 2, true])
  })

  test('is fetched also where an answer from before is under way', async () => {
    served = root.crl()
    const first = fetcher.prepare([bob, issuer])
    while (asked.length < 1) await new Promise(setImmediate)
    served = root.crl([mallory], { thisUpdate: 0 })
    statements.learn(1, sourceOfBob(), 'another')
    await first
    while (outcomes.length < 2) await new Promise(setImmediate)
    expect(fetcher.lists(bob, issuer).some((list) => list.revokes(mallory.serial))).toBe(true)
  })

  test('is not asked for where it is the same', async () => {
    expect(await afterNewsOf(() => '', root.crl([mallory], { thisUpdate: 0 }))).toEqual([1, 1, false])
  })

  test('is asked for once where the address gives this worker another, and nobody is told of that again', async () => {
    expect(await afterNewsOf(() => 'another', root.crl())).toEqual([2, 1, false])
  })
})

test('a list of the future gives way to the one that mends it', async () => {
  expect(await knownAfter(root.crl([], { thisUpdate: 3 }), root.crl([mallory]))).toBe(true)
})

describe('a list that no handshake has needed for two intervals', () => {
  /** After twenty of them. Last in this file: what is under way then may be answered later. */
  async function later(onIdle: () => void): Promise<void> {
    served = root.crl()
    fetcher.onReplaced = onIdle
    await fetcher.prepare([bob, issuer])
    for (let i = 0; i < 20; i++) {
      jest.advanceTimersByTime(10_000)
      await new Promise(setImmediate)
    }
  }

  test('is forgotten where no connection rests on it either', async () => {
    let judged = 0
    await later(() => judged++)
    expect([judged, fetcher.inUse]).toEqual([1, []])
  })

  test('stays where one does, which is asked by judging all of them again', async () => {
    await later(() => void fetcher.lists(bob, issuer))
    expect(fetcher.inUse).toHaveLength(1)
  })
})

describe('a certificate that names several addresses', () => {
  /** Its own, as those of the tests before may still be asking. */
  function askedFor(paths: readonly string[]): Promise<{ outcomes: boolean[]; lists: number; asked: string[] }> {
    // The time that one of them has taken is no longer there for the next.
    jest.useRealTimers()
    const own: boolean[] = []
    const metrics = { crlFetched: (succeeded: boolean) => void own.push(succeeded) }
    const fetching = new ListFetcher(createLog({ level: 'silent' }), metrics, new FetchedStatements())
    fetching.apply({ timeout: 3000, max_size: 65_536, max_lists: 10, interval: 10_000 })
    const client = clientWith(...paths)
    const waited = fetching.prepare([client, issuer]) ?? Promise.resolve()
    return waited.then(() => ({
      outcomes: own,
      lists: fetching.lists(client, issuer).length,
      asked: asked.filter((path) => path !== '/'),
    }))
  }

  test('has the list of the next where one does not answer, within the time for all', async () => {
    const silent = createTcpServer().listen(0, '127.0.0.1')
    whenFileEnds(() => silent.close())
    await once(silent, 'listening')
    const nobody = `http://127.0.0.1:${(silent.address() as AddressInfo).port}/`
    served = root.crl()
    const found = await askedFor(['ldap://127.0.0.1/cn=root', nobody, '/second', '/third'])
    expect(found).toEqual({ outcomes: [true], lists: 1, asked: ['/second'] })
  })

  test('has none where none of them does, and the first four are asked once', async () => {
    served = authority('root').crl()
    const found = await askedFor(['/1', '/2', '/3', '/4', '/5'])
    expect(found).toEqual({ outcomes: [false], lists: 0, asked: ['/1', '/2', '/3', '/4'] })
  })
})
