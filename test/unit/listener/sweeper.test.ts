import { expect, test } from '@jest/globals'
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
  return { reasons, sweeper: new Sweeper(live, { ended }, () => undefined) }
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
