import { expect, test } from '@jest/globals'
import type { Live } from '../../../src/listener/live.ts'
import { Sweeper } from '../../../src/listener/sweeper.ts'
import type { Connection, Verification } from '../../../src/types.ts'
import { fakeConnection } from '../../support/fake-connection.ts'

/** An idle connection, as far as the sweeper looks at it. */
function idle(judge: () => { verification: Verification; until: number }): Live & { closed: number } {
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
  return live as unknown as Live & { closed: number }
}

function sweeperOver(...all: readonly Live[]) {
  const reasons: string[] = []
  const ended = (_connection: Connection, reason: string) => void reasons.push(reason)
  const live = new Map<object, Live>(all.map((each) => [each.socket, each]))
  return { reasons, sweeper: new Sweeper(live, { ended }, () => undefined) }
}

const success = () => ({ verification: { result: 'SUCCESS' } as const, until: Number.POSITIVE_INFINITY })

test('a connection that cannot be judged any more is ended, and the others go on', async () => {
  const broken = idle(() => {
    throw new Error('the list cannot be read')
  })
  const sound = idle(success)
  const { sweeper, reasons } = sweeperOver(broken, sound)
  await sweeper.judgeAgain()
  expect([broken.closed, sound.closed]).toEqual([1, 0])
  expect(reasons).toEqual([expect.stringContaining('verify error')])
})

test('a connection is ended where a defect keeps anybody from telling whether it is welcome, and kept where it may be told later', async () => {
  const [first, second] = [idle(success), idle(success)]
  const { sweeper } = sweeperOver(first, second)
  await sweeper.judgeAgain((_connection, { socket }) => {
    if (socket === first.socket) throw new Error('a defect')
    return Promise.reject(new Error('the plugin is away'))
  })
  expect([first.closed, second.closed]).toEqual([1, 0])
})
