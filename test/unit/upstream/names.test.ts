import type { LookupAddress } from 'node:dns'
import type { LookupFunction } from 'node:net'
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { UpstreamName } from '../../../src/upstream/names.ts'

const ONE = addresses('192.0.2.1')
const HOUR = 3_600_000

type Answered = (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void

/** The system's side: questions wait until the test answers them. */
function nameWith() {
  const questions: Answered[] = []
  const told: (string | undefined)[] = []
  const name = new UpstreamName(
    'api.test',
    (_name, reason) => told.push(reason),
    (_name, _options, done) => questions.push(done),
  )
  return { name, questions, told }
}

function addresses(...list: readonly string[]): LookupAddress[] {
  return list.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))
}

function failure(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`getaddrinfo ${code} api.test`), { code })
}

/** The addresses, or the code of the failure. */
function ask(lookup: LookupFunction): Promise<readonly string[] | string | undefined> {
  return new Promise((resolve) => {
    lookup('api.test', { all: true }, (error, found) => {
      resolve(error ? error.code : (found as LookupAddress[]).map(({ address }) => address))
    })
  })
}

beforeEach(() => {
  jest.useFakeTimers({ doNotFake: ['nextTick'] })
})
afterEach(() => {
  jest.useRealTimers()
})

test('all who ask at a time ask the system once, also for pools of other identities', async () => {
  const { name, questions } = nameWith()
  const asked = [name.lookup(0), name.lookup(HOUR), name.lookup(0)].map(ask)
  expect(questions).toHaveLength(1)
  questions[0]?.(null, ONE)
  expect(await Promise.all(asked)).toEqual([['192.0.2.1'], ['192.0.2.1'], ['192.0.2.1']])
  void ask(name.lookup(0))
  expect(questions).toHaveLength(2)
})

test('a failure is told to all who asked, and the next one asks again', async () => {
  const { name, questions } = nameWith()
  const asked = [ask(name.lookup(HOUR)), ask(name.lookup(HOUR))]
  questions[0]?.(failure('EAI_AGAIN'), [])
  expect(await Promise.all(asked)).toEqual(['EAI_AGAIN', 'EAI_AGAIN'])
  const next = ask(name.lookup(HOUR))
  questions[1]?.(null, ONE)
  expect(await next).toEqual(['192.0.2.1'])
})

test('a name without addresses is not found', async () => {
  const { name, questions } = nameWith()
  const asked = ask(name.lookup(0))
  questions[0]?.(null, [])
  expect(await asked).toBe('ENOTFOUND')
})

describe('a name that was known', () => {
  async function known() {
    const made = nameWith()
    const asked = ask(made.name.lookup(HOUR))
    made.questions[0]?.(null, ONE)
    await asked
    return made
  }

  test('leads to its last addresses while name servers do not answer, which is told once', async () => {
    const { name, questions, told } = await known()
    for (const round of [1, 2]) {
      const asked = ask(name.lookup(HOUR))
      questions[round]?.(failure('EAI_AGAIN'), [])
      expect(await asked).toEqual(['192.0.2.1'])
    }
    expect(told).toEqual(['getaddrinfo EAI_AGAIN api.test'])
    const asked = ask(name.lookup(HOUR))
    questions[3]?.(null, addresses('192.0.2.9'))
    expect(await asked).toEqual(['192.0.2.9'])
    expect(told).toEqual(['getaddrinfo EAI_AGAIN api.test', undefined])
  })

  test('is not waited for long, and later connections do not wait at all', async () => {
    const { name, questions, told } = await known()
    const asked = ask(name.lookup(HOUR))
    jest.advanceTimersByTime(500)
    expect(await asked).toEqual(['192.0.2.1'])
    expect(await ask(name.lookup(HOUR))).toEqual(['192.0.2.1'])
    expect(told).toEqual(['no answer within 500 ms'])
    expect(questions).toHaveLength(2)
    questions[1]?.(null, addresses('192.0.2.9'))
    const next = ask(name.lookup(HOUR))
    questions[2]?.(null, addresses('192.0.2.9'))
    expect(await next).toEqual(['192.0.2.9'])
  })

  test('is waited for by those who must not use last addresses', async () => {
    const { name, questions } = await known()
    const [strict, patient] = [ask(name.lookup(0)), ask(name.lookup(HOUR))]
    jest.advanceTimersByTime(500)
    expect(await patient).toEqual(['192.0.2.1'])
    const late = ask(name.lookup(0))
    questions[1]?.(failure('EAI_AGAIN'), [])
    expect(await Promise.all([strict, late])).toEqual(['EAI_AGAIN', 'EAI_AGAIN'])
    expect(questions).toHaveLength(2)
  })

  test('is forgotten when its last addresses are too old', async () => {
    const { name, questions } = await known()
    jest.advanceTimersByTime(HOUR)
    const asked = ask(name.lookup(HOUR))
    questions[1]?.(failure('EAI_AGAIN'), [])
    expect(await asked).toBe('EAI_AGAIN')
  })

  test('is gone at once when name servers say so', async () => {
    const { name, questions } = await known()
    const asked = ask(name.lookup(HOUR))
    questions[1]?.(failure('ENOTFOUND'), [])
    expect(await asked).toBe('ENOTFOUND')
    const next = ask(name.lookup(HOUR))
    questions[2]?.(failure('EAI_AGAIN'), [])
    expect(await next).toBe('EAI_AGAIN')
  })
})

test('connections begin with each address in turn, and with the family that the system prefers', async () => {
  const { name, questions } = nameWith()
  const found: unknown[] = []
  for (let i = 0; i < 3; i++) {
    const asked = ask(name.lookup(0))
    questions[i]?.(null, addresses('2001:db8::1', '192.0.2.1', '2001:db8::2', '192.0.2.2', '192.0.2.3'))
    found.push(await asked)
  }
  expect(found).toEqual([
    ['2001:db8::1', '2001:db8::2', '192.0.2.1', '192.0.2.2', '192.0.2.3'],
    ['2001:db8::2', '2001:db8::1', '192.0.2.2', '192.0.2.3', '192.0.2.1'],
    ['2001:db8::1', '2001:db8::2', '192.0.2.3', '192.0.2.1', '192.0.2.2'],
  ])
})

test('an address that could not be reached is tried last for a while', async () => {
  const { name, questions } = nameWith()
  const { lookup, unreachable } = name.addresses(0)
  const found = async () => {
    const asked = ask(lookup)
    questions.pop()?.(null, addresses('2001:db8::1', '192.0.2.1', '192.0.2.2'))
    return asked
  }
  unreachable('2001:db8::1')
  unreachable('192.0.2.2')
  expect(await found()).toEqual(['192.0.2.1', '2001:db8::1', '192.0.2.2'])
  expect(await found()).toEqual(['192.0.2.1', '2001:db8::1', '192.0.2.2'])
  jest.advanceTimersByTime(10_000)
  expect(await found()).toEqual(['2001:db8::1', '192.0.2.1', '192.0.2.2'])
})
