import { expect, jest, test } from '@jest/globals'
import { Admitted } from '../../../src/auth/admitted.ts'
import { NOBODY } from '../../../src/auth/chain.ts'
import { MappedUsers } from '../../../src/auth/mapped-users.ts'
import type { HttpRequest } from '../../../src/http-messages.ts'
import { settingsOf } from '../../../src/runtime/listener-settings.ts'
import { fakeConnection } from '../../support/fake-connection.ts'

type Given = Parameters<typeof settingsOf>

/** One connection and what it serves, where the gateway objects after a wait. */
function welcomeOf(request: HttpRequest, admitted: Admitted) {
  const { promise, resolve } = Promise.withResolvers<string | undefined>()
  const { welcome } = settingsOf(
    { proxy_protocol_from: [] } as unknown as Given[0],
    { shutdown: { timeout: 0, keepalive_timeout: 0 }, routes: [] } as unknown as Given[1],
    {} as Given[2],
    { objection: () => promise, objectionByTime: () => undefined },
    { workers: 1, mappedUsers: new MappedUsers(), admitted, authentication: undefined } as unknown as Given[4],
  )
  const carried: { readonly socket: object; request: HttpRequest | undefined } = { socket: request.socket, request }
  return { carried, answer: resolve, asked: welcome?.(fakeConnection(), carried) }
}

function requestOn(socket: object): HttpRequest {
  return { socket } as HttpRequest
}

test('an objection to a request that was answered while somebody was asked does not end the next one', async () => {
  const admitted = new Admitted()
  const [first, next] = [requestOn({}), requestOn({})]
  admitted.note(first, NOBODY)
  const { carried, answer, asked } = welcomeOf(first, admitted)
  carried.request = next
  answer('it would be refused')
  expect(await asked).toBeUndefined()
})

test('an objection to the request that is being served still ends it after a wait', async () => {
  const admitted = new Admitted()
  const request = requestOn({})
  admitted.note(request, NOBODY)
  const { answer, asked } = welcomeOf(request, admitted)
  answer('it would be refused')
  expect(await asked).toBe('it would be refused')
})

test('of a request that is not let in yet nobody can tell', async () => {
  await expect(welcomeOf(requestOn({}), new Admitted()).asked).rejects.toThrow('not let in yet')
})

test('what is being served is judged once a minute by rules with times, as soon as it has been let in, and not without any', () => {
  const admitted = new Admitted()
  const asked = jest.fn(() => undefined)
  const objectionOf = (times: readonly object[] | undefined) =>
    settingsOf(
      { proxy_protocol_from: [] } as unknown as Given[0],
      {
        shutdown: { timeout: 0, keepalive_timeout: 0 },
        routes: [{ access_rules: [{ at: '', deny: [{ times }] }] }],
      } as unknown as Given[1],
      {} as Given[2],
      { objection: async () => undefined, objectionByTime: asked },
      { workers: 1, mappedUsers: new MappedUsers(), admitted, authentication: undefined } as unknown as Given[4],
    ).objection
  const request = requestOn({})
  const carried = { socket: request.socket, request }
  const rounds = (objection: ReturnType<typeof objectionOf>) => {
    asked.mockClear()
    for (let i = 0; i < 3; i++) expect(objection?.(fakeConnection(), carried)).toBeUndefined()
    return asked.mock.calls.length
  }
  const timed = objectionOf([{}])
  jest.useFakeTimers({ now: 59_000 })
  try {
    expect(rounds(timed)).toBe(0)
    admitted.note(request, NOBODY)
    expect([rounds(timed), rounds(objectionOf(undefined))]).toEqual([1, 0])
    jest.setSystemTime(60_000)
    expect(rounds(timed)).toBe(1)
  } finally {
    jest.useRealTimers()
  }
})
