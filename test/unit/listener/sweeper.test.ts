import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals'
import type { HttpRequest } from '../../../src/http-messages.ts'
import type { LiveConnection } from '../../../src/listener/live-connection.ts'
import { Sweeper } from '../../../src/listener/sweeper.ts'
import type { TrustPolicy } from '../../../src/listener/trust-policy.ts'
import type { Connection, Verification } from '../../../src/types.ts'
import { fakeConnection } from '../../support/fake-connection.ts'

/** An idle connection, as far as the sweeper looks at it. */
function idle(judge: () => { verification: Verification; until: number }): LiveConnection & { closed: number } {
  const live = {
    ...{ socket: {}, shown: undefined, judgedUntil: 0, doom: undefined, closed: 0 },
    ...{ busy: false, upgraded: false, streams: false, ended: false },
    policy: { judge, verify: 'optional' },
    connection: fakeConnection({ verification: { result: 'SUCCESS' } }),
    rejudged: (verification: Verification) => {
      live.connection = fakeConnection({ verification })
    },
    close: () => {
      live.closed += 1
      live.ended = true
    },
  }
  return live as unknown as LiveConnection & { closed: number }
}

function sweeperOver(...all: readonly LiveConnection[]) {
  const reasons: string[] = []
  const ended = (_connection: Connection, reason: string) => void reasons.push(reason)
  const live = new Map<object, LiveConnection>(all.map((each) => [each.socket, each]))
  return { live, reasons, sweeper: new Sweeper(live, { ended }, () => undefined) }
}

/** One policy for all, under this id. */
function inForce(id = 'policy') {
  const policyFor = () => ({ id }) as TrustPolicy
  return { policyIds: new Set([id]), policyFor, policyAsked: policyFor, successorFor: () => undefined }
}

const REVOKED: Verification = { result: 'FAILED', code: 'CERT_REVOKED', reason: 'revoked' }

const success = () => ({ verification: { result: 'SUCCESS' } as const, until: Number.POSITIVE_INFINITY })

function unreadable(): never {
  throw new Error('the list cannot be read')
}

test('a connection that cannot be judged any more is ended, and the others go on', async () => {
  const broken = idle(unreadable)
  const sound = idle(success)
  const { sweeper, reasons } = sweeperOver(broken, sound)
  await sweeper.judgeAgain(inForce())
  expect([broken.closed, sound.closed]).toEqual([1, 0])
  expect(reasons).toEqual([expect.stringContaining('verify error')])
})

test('a connection is ended where a defect keeps anybody from telling whether it is welcome, and kept where it may be told later', async () => {
  const [first, second] = [idle(success), idle(success)]
  const { sweeper } = sweeperOver(first, second)
  await sweeper.judgeAgain(inForce(), (_connection, { socket }) => {
    if (socket === first.socket) throw new Error('a defect')
    return Promise.reject(new Error('the plugin is away'))
  })
  expect([first.closed, second.closed]).toEqual([1, 0])
})

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

test('nobody is judged in the turn of the event loop in which a reload has computed', async () => {
  let judged = 0
  const counted = () => {
    judged += 1
    return success()
  }
  const { sweeper } = sweeperOver(idle(counted))
  const done = sweeper.judgeAgain(inForce())
  expect(judged).toBe(0)
  await done
  expect(judged).toBe(1)
})

/** Longer than connections are looked at in one turn of the event loop. */
function slowly(): ReturnType<typeof success> {
  for (const until = performance.now() + 5; performance.now() < until; );
  return success()
}

test('whoever asks before a reload has come to him is looked at first, and once', async () => {
  let judged = 0
  const revoked = () => {
    judged += 1
    return { verification: REVOKED, until: 0 }
  }
  const [first, second] = [idle(slowly), idle(revoked)]
  const { sweeper, reasons } = sweeperOver(first, second)
  const done = sweeper.judgeAgain(inForce())
  expect(reasons).toEqual([])
  second.look?.(second)
  expect(second.connection.verification.result).toBe('FAILED')
  expect(reasons).toEqual(['client certificate verify error: revoked'])
  await done
  expect(judged).toBe(1)
})

test('connections whose policy is gone end a few at a time, and each before its next request', async () => {
  const all = [idle(slowly), idle(success), idle(success)]
  const { sweeper, reasons } = sweeperOver(...all)
  const done = sweeper.judgeAgain(inForce('another'))
  await nextTurn()
  expect(all.map(({ closed }) => closed)).toEqual([1, 0, 0])
  const last = all[2] as LiveConnection
  last.look?.(last)
  expect(all.map(({ closed }) => closed)).toEqual([1, 0, 1])
  await done
  expect(all.map(({ closed }) => closed)).toEqual([1, 1, 1])
  expect(new Set(reasons)).toEqual(new Set(['the trust policy that judged the client is not in use any more']))
})

test.each([
  ['whose policy is gone', success, 'another'],
  ['whose client is revoked', () => ({ verification: REVOKED, until: 0 }), 'policy'],
  ['of which nobody can tell', unreadable, 'policy'],
])('on a connection %s an upgrade that is beginning is left to its answer', async (_, judge, policy) => {
  const [first, second] = [idle(slowly), idle(judge)]
  const { sweeper } = sweeperOver(first, second)
  const done = sweeper.judgeAgain(inForce(policy))
  let destroyed = false
  const socket = Object.assign(second.socket, { destroy: () => (destroyed = true) })
  Object.assign(second, { upgraded: true, socket })
  second.look?.(second, {} as HttpRequest)
  await done
  expect([destroyed, second.closed, second.doom === undefined]).toEqual([false, 0, false])
})

test('a reload that comes before another one has looked at everybody takes its place', async () => {
  const all = [idle(slowly), idle(success)]
  const { sweeper } = sweeperOver(...all)
  const first = sweeper.judgeAgain(inForce('another'))
  await nextTurn()
  await Promise.all([first, sweeper.judgeAgain(inForce())])
  expect(all.map(({ closed }) => closed)).toEqual([1, 0])
})

test('a connection of which nobody can tell by which policy it is judged is ended, and the others go on', async () => {
  const [broken, sound] = [idle(success), idle(success)]
  Object.assign(broken, { connection: fakeConnection({ serverName: 'broken.test' }) })
  const { sweeper, reasons } = sweeperOver(broken, sound)
  const { policyFor, ...others } = inForce()
  await sweeper.judgeAgain({
    ...others,
    policyFor: (name) => {
      if (name === 'broken.test') throw new Error('a defect')
      return policyFor()
    },
  })
  expect([broken.closed, sound.closed]).toEqual([1, 0])
  expect(broken.connection.verification.result).toBe('FAILED')
  expect(reasons).toEqual(['nobody can tell whether it may stay: a defect'])
})

test('what is carried ends where the server that it was asked of is judged otherwise by now, though that of the server name is not', async () => {
  const request = {} as HttpRequest
  const carrying = (more: object) => {
    let cut = 0
    const live = Object.assign(idle(success), { socket: { destroy: () => void cut++ }, request, ...more })
    return { live, cuts: () => cut + live.closed }
  }
  const asked = (id: string) => ({ ...inForce(), policyAsked: () => ({ id }) as TrustPolicy })
  const judged = async (id: string, more: object) => {
    const { live, cuts } = carrying(more)
    const { sweeper, reasons } = sweeperOver(live)
    await sweeper.judgeAgain(asked(id))
    return [cuts(), ...reasons]
  }
  const gone = 'the trust policy that judged the client is not in use any more'
  expect(await judged('another', { upgraded: true })).toEqual([1, gone])
  expect(await judged('policy', { upgraded: true })).toEqual([0])
  expect(await judged('another', { request: undefined })).toEqual([0])
})

test('an answer that has begun gets a moment after its policy is gone, and none after its client is revoked', async () => {
  const answering = (judge: Parameters<typeof idle>[0]) => {
    const destroy = () => {
      live.closed += 1
    }
    const live = Object.assign(idle(judge), { busy: true, streams: true, socket: { destroy } })
    return live
  }
  const retired = answering(success)
  await sweeperOver(retired).sweeper.judgeAgain(inForce('another'))
  expect([retired.closed, retired.doom?.reason]).toEqual([0, expect.stringContaining('not in use any more')])
  const revoked = answering(() => ({
    verification: { result: 'FAILED', code: 'CERT_REVOKED', reason: 'revoked' },
    until: 0,
  }))
  await sweeperOver(revoked).sweeper.judgeAgain(inForce())
  expect(revoked.closed).toBe(1)
})

test('a connection that was about to end because its policy was gone stays where a later reload brings it back', async () => {
  const live = Object.assign(idle(success), { busy: true })
  const { sweeper } = sweeperOver(live)
  await sweeper.judgeAgain(inForce('another'))
  expect(live.doom).toBeDefined()
  await sweeper.judgeAgain(inForce())
  expect([live.doom, live.closed]).toEqual([undefined, 0])
})

test.each([
  ['refuses the client', REVOKED, undefined, 'client certificate verify error: revoked'],
  ['lets the next request pass no more', success().verification, 'closed to you', 'closed to you'],
])(
  'a reload that %s ends the connection, also right after one that would have ended another request on it',
  async (_, verdict, second, reason) => {
    let verification: Verification = success().verification
    const live = Object.assign(
      idle(() => ({ verification, until: Number.POSITIVE_INFINITY })),
      {
        ...{ busy: true, request: {} as HttpRequest, socket: { destroy: () => {} } },
      },
    )
    const { sweeper, reasons } = sweeperOver(live)
    await sweeper.judgeAgain(inForce(), () => 'closed to the first')
    expect(reasons).toEqual([])
    Object.assign(live, { request: {} as HttpRequest, streams: true })
    verification = verdict
    await sweeper.judgeAgain(inForce(), () => second)
    expect(reasons).toEqual([reason])
  },
)

describe('a connection whose client is refused for something', () => {
  const unknown: Verification = { result: 'FAILED', code: 'DEPTH_ZERO_SELF_SIGNED_CERT', reason: 'self-signed' }
  /** What becomes of a client of unknown authorities, whom optional_no_ca lets in, when the verdict changes. */
  const becomes = async (verification: Verification) => {
    const live = idle(() => ({ verification, until: Number.POSITIVE_INFINITY }))
    Object.assign(live, { connection: fakeConnection({ verification: unknown }) })
    Object.assign(live.policy, { verify: 'optional_no_ca' })
    await sweeperOver(live).sweeper.judgeAgain(inForce())
    return [live.closed, live.connection.verification]
  }

  test('stays where that is forgiven, also where it is forgiven for something else by now', async () => {
    expect(await becomes(unknown)).toEqual([0, unknown])
    const other = { ...unknown, code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' }
    expect(await becomes(other)).toEqual([0, other])
  })

  test('ends where he is refused for something that is not forgiven by now', async () => {
    expect(await becomes(REVOKED)).toEqual([1, REVOKED])
  })

  test('ends after its answer, also where a reload comes in between', async () => {
    const live = Object.assign(
      idle(() => ({ verification: REVOKED, until: 0 })),
      { busy: true },
    )
    const { sweeper } = sweeperOver(live)
    await sweeper.judgeAgain(inForce())
    await sweeper.judgeAgain(inForce())
    expect(live.doom?.reason).toBe('client certificate verify error: revoked')
  })
})

describe('a connection whose policy has another id by now', () => {
  const moving = (holds: boolean) => {
    const moves: string[] = []
    const live = Object.assign(idle(success), {
      shown: 'by the old authority',
      verifiedAnew: (shown: string) => void moves.push(`shown ${shown}`),
      move: ({ id }: TrustPolicy) => void moves.push(`moved to ${id}`),
    }) as unknown as ReturnType<typeof idle>
    Object.assign(live.policy, { renewed: (shown: unknown) => shown })
    const successor = { id: 'successor', verifiedHere: () => 'by the new one', holdsFor: () => holds }
    const successorFor = () => successor as unknown as TrustPolicy
    return { live, moves, successorFor }
  }
  const judgedIn = async (policyIds: readonly string[], holds: boolean) => {
    const { live, moves, successorFor } = moving(holds)
    const policyFor = () => ({ id: 'successor' }) as TrustPolicy
    await sweeperOver(live).sweeper.judgeAgain({ ...inForce(), policyIds: new Set(policyIds), policyFor, successorFor })
    return [live.closed, ...moves]
  }

  test('is judged by that one where it holds for what was proved, as its authorities verify it', async () => {
    expect(await judgedIn(['successor'], true)).toEqual([0, 'shown by the new one', 'moved to successor'])
  })

  test('ends where it does not hold, or is in force no more itself', async () => {
    expect(await judgedIn(['successor'], false)).toEqual([1])
    expect(await judgedIn([], true)).toEqual([1])
  })

  test('ends where its own is in force nowhere, though its listener still names it', async () => {
    const live = idle(success)
    await sweeperOver(live).sweeper.judgeAgain({ ...inForce(), policyIds: new Set() })
    expect(live.closed).toBe(1)
  })
})

test('a request that is beginning for a server of another policy is refused by itself, and the connection stays', async () => {
  const request = {} as HttpRequest
  const [first, second] = [idle(slowly), Object.assign(idle(success), { request })]
  const { sweeper } = sweeperOver(first, second)
  const done = sweeper.judgeAgain({ ...inForce(), policyAsked: () => ({ id: 'another' }) as TrustPolicy })
  second.look?.(second, request)
  await done
  expect([second.doom, second.closed]).toEqual([undefined, 0])
})

test('what is cut at once is told of', () => {
  const destroyed: string[] = []
  const live = Object.assign(idle(success), { socket: { destroy: () => void destroyed.push('it') } })
  const { sweeper, reasons } = sweeperOver(live)
  sweeper.cut(live.socket as never, 'it went on for too long')
  expect([reasons, destroyed]).toEqual([['it went on for too long'], ['it']])
})

describe('questions of a reload', () => {
  /** Questions that are asked and wait, with who they are about. */
  const waiting: { live: object; answer: (reason?: string) => void; fail: () => void }[] = []
  const ask = (_connection: Connection, { socket }: { socket: object }) =>
    new Promise<string | undefined>((resolve, reject) => {
      waiting.push({ live: socket, answer: resolve, fail: () => reject(new Error('the plugin is away')) })
    })
  const turn = () => new Promise((resolve) => setImmediate(resolve))
  const asked = async (count: number) => {
    while (waiting.length < count) await turn()
  }
  /** By then each connection has had its turn, however slow the machine is. */
  const turns = async () => {
    for (let i = 0; i < 150; i++) await turn()
  }
  beforeEach(() => {
    waiting.length = 0
    jest.useFakeTimers({ now: 1_000_000, doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask', 'performance'] })
  })
  afterEach(() => {
    jest.useRealTimers()
  })

  test('end a connection that somebody objects to', async () => {
    const [gone, stays] = [idle(success), idle(success)]
    const { sweeper, reasons } = sweeperOver(gone, stays)
    const done = sweeper.judgeAgain(inForce(), ask)
    await asked(2)
    waiting[0]?.answer('its user is gone')
    waiting[1]?.answer()
    await done
    expect([gone.closed, stays.closed, reasons]).toEqual([1, 0, ['its user is gone']])
  })

  test('are not all asked at once', async () => {
    const { sweeper } = sweeperOver(...Array.from({ length: 100 }, () => idle(success)))
    const done = sweeper.judgeAgain(inForce(), ask)
    await turns()
    expect(waiting).toHaveLength(32)
    waiting[0]?.answer()
    await turns()
    expect(waiting).toHaveLength(33)
    for (let i = 1; i < 100; i++) {
      await asked(i + 1)
      waiting[i]?.answer()
    }
    await done
    expect(waiting).toHaveLength(100)
  })

  test('count nothing once a later reload asks its own', async () => {
    const all = Array.from({ length: 40 }, () => idle(success))
    const { sweeper } = sweeperOver(...all)
    sweeper.start()
    const first = sweeper.judgeAgain(inForce(), ask)
    await asked(32)
    const later = jest.fn(() => undefined)
    await sweeper.judgeAgain(inForce(), later)
    expect(waiting).toHaveLength(32)
    waiting[0]?.answer('it was gone then')
    waiting[1]?.fail()
    for (const { answer } of waiting.slice(2)) answer()
    await first
    jest.advanceTimersByTime(10_000)
    await turns()
    expect([waiting.length, later.mock.calls.length]).toEqual([32, 40])
    expect(all.filter(({ closed }) => closed > 0)).toEqual([])
    sweeper.stop()
  })

  test('that were undecided before a later reload are not asked any more', async () => {
    const { sweeper } = sweeperOver(idle(success))
    sweeper.start()
    const first = sweeper.judgeAgain(inForce(), ask)
    await asked(1)
    waiting[0]?.fail()
    await first
    const later = jest.fn(() => undefined)
    await sweeper.judgeAgain(inForce(), later)
    jest.advanceTimersByTime(10_000)
    await turns()
    expect([waiting.length, later.mock.calls.length]).toEqual([1, 1])
    sweeper.stop()
  })

  test('that cannot be decided are asked again after two seconds, until they are, and of those who are still there', async () => {
    const [first, left] = [idle(success), idle(success)]
    const { sweeper, live } = sweeperOver(first, left)
    sweeper.start()
    const done = sweeper.judgeAgain(inForce(), ask)
    await asked(2)
    for (const { fail } of waiting) fail()
    await done
    live.delete(left.socket)
    jest.advanceTimersByTime(1500)
    await turns()
    expect(waiting).toHaveLength(2)
    jest.advanceTimersByTime(500)
    await turns()
    expect(waiting.slice(2).map(({ live: of }) => of === first.socket)).toEqual([true])
    jest.advanceTimersByTime(10_000)
    await turns()
    expect(waiting).toHaveLength(3)
    waiting[2]?.answer('its user is gone')
    await turns()
    expect(first.closed).toBe(1)
    sweeper.stop()
  })
})

describe('as time passes', () => {
  const turn = () => new Promise((resolve) => setImmediate(resolve))
  beforeEach(() => {
    jest.useFakeTimers({ now: 1_000_000, doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask', 'performance'] })
  })
  afterEach(() => {
    jest.useRealTimers()
  })
  const pass = async (milliseconds: number) => {
    jest.advanceTimersByTime(milliseconds)
    await turn()
  }

  test('a client is judged when his verdict may change, and not before', async () => {
    const judged: number[] = []
    const live = idle(() => {
      judged.push(Date.now())
      return { verification: { result: 'SUCCESS' }, until: 1_003_000 + 10_000 * judged.length }
    })
    live.judgedUntil = 1_002_000
    const { sweeper } = sweeperOver(live)
    sweeper.start()
    await pass(1999)
    expect(judged).toEqual([])
    await pass(1)
    expect(judged).toEqual([1_002_000])
    await pass(10_500)
    expect(judged).toHaveLength(1)
    await pass(500)
    expect(judged).toEqual([1_002_000, 1_013_000])
    sweeper.stop()
  })

  test('a client whose authority was renewed is judged by the new form', async () => {
    const anew: unknown[] = []
    const live = Object.assign(idle(success), { shown: 'old', verifiedAnew: (shown: unknown) => void anew.push(shown) })
    Object.assign(live.policy, { renewed: () => 'new' })
    const { sweeper } = sweeperOver(live as unknown as LiveConnection)
    sweeper.start()
    await pass(500)
    expect(anew).toEqual(['new'])
    sweeper.stop()
  })

  test('a connection that is doomed ends once its answer is over, and once', async () => {
    const live = Object.assign(
      idle(() => ({ verification: REVOKED, until: Number.POSITIVE_INFINITY })),
      { busy: true },
    )
    const { sweeper, reasons } = sweeperOver(live)
    sweeper.start()
    await pass(500)
    expect([live.closed, live.doom !== undefined]).toEqual([0, true])
    Object.assign(live, { busy: false })
    await pass(500)
    await pass(500)
    expect([live.closed, reasons]).toEqual([1, ['client certificate verify error: revoked']])
    sweeper.stop()
  })
})
