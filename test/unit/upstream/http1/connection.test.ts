import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import { describe, expect, test } from '@jest/globals'
import { pause, waitFor } from '../../../support/wait.ts'
import { socketPair } from '../support.ts'
import { bodyOf, type Line, lineTo, OK } from './exchanges.ts'

const answerAll = (socket: Socket) => socket.write(OK)
const answerNone = () => {}

/** A line that has carried one exchange and waits for the next. */
async function idleLine(serve: (socket: Socket) => void = answerAll): Promise<Line> {
  const line = await lineTo(serve)
  await line.send().over
  return line
}

describe('one request after the other', () => {
  test('on one connection, each with its own answer', async () => {
    let count = 0
    const line = await lineTo((socket) => socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n${count++}`))
    for (let i = 0; i < 3; i++) {
      const answer = line.send()
      expect(await answer.over).toBe('end')
      expect(answer.told).toEqual(['sent', 'head 200', 'data', 'end'])
      expect(answer.body).toBe(String(i))
    }
    expect(line.owner).toEqual(['idle', 'idle', 'idle'])
    expect(line.received()).toBe('GET / HTTP/1.1\r\nHost: api\r\n\r\n'.repeat(3))
  })

  test('the owner gets the connection back when the handler has been told of the end, not before', async () => {
    const line = await lineTo((socket) => socket.write(OK.slice(0, -1)))
    const answer = line.send()
    await waitFor('half an answer', () => answer.body === 'o')
    expect(line.owner).toEqual([])
    answer.on = (what) => line.owner.push(what)
    line.far().write('k')
    await waitFor('the end', () => line.owner.length === 3)
    expect(line.owner).toEqual(['data', 'end', 'idle'])
  })

  test('the handler is told when more of the answer is awaited, and not when it is complete', async () => {
    const line = await lineTo((socket) => socket.write(OK.slice(0, -1)))
    const answer = line.send()
    await waitFor('half an answer', () => answer.body === 'o')
    expect(answer.pendings).toBe(1)
    line.far().write('k')
    expect(await answer.over).toBe('end')
    line.far().write('unasked')
    await waitFor('the close', () => line.connection.closed)
    expect(answer.pendings).toBe(1)
  })

  test('interim answers and trailers are told', async () => {
    const text =
      'HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: 1\r\n\r\n'
    const line = await lineTo((socket) => socket.write(text))
    const answer = line.send()
    await answer.over
    expect(answer.told).toEqual(['sent', 'interim 103', 'head 200', 'data', 'end'])
    expect(answer.trailers).toEqual(['X', '1'])
  })

  test('1,000 of them, half with a body, leave no listener behind', async () => {
    const line = await idleLine()
    const events = ['data', 'drain', 'end', 'error', 'close', 'timeout']
    const before = events.map((event) => line.near().listenerCount(event))
    for (let i = 0; i < 1000; i++) {
      const body = i % 2 ? Readable.from([Buffer.from('body')]) : null
      expect(await line.send({ body: body && bodyOf(body), chunked: true }).over).toBe('end')
      // The last event of a body comes after those of the answer.
      if (body) await waitFor('the end of the body', () => body.closed)
    }
    expect(events.map((event) => line.near().listenerCount(event))).toEqual(before)
    expect(line.owner).toHaveLength(1001)
  })
})

/** Where in a turn of the event loop the request comes: before, within and after the look at the sockets. */
const PHASES: [string, (act: () => void) => Promise<void>][] = [
  ['from a timer', async (act) => void setTimeout(act, 1)],
  [
    'from the event of another socket',
    async (act) => {
      const { near, far } = await socketPair()
      near.once('data', act)
      far.write('x')
    },
  ],
  ['from an immediate', async (act) => void setImmediate(act)],
]

describe('bytes that nobody asked for', () => {
  test('on an idle connection close it', async () => {
    const line = await idleLine()
    line.far().write(OK)
    await waitFor('the end', () => line.near().destroyed)
    expect(line.owner).toEqual(['idle', 'closed'])
  })

  test('behind an answer: it counts, and the connection carries no other', async () => {
    const line = await lineTo((socket) => socket.write(OK + OK))
    const answer = line.send()
    expect(await answer.over).toBe('end')
    expect(answer.told).toEqual(['sent', 'head 200', 'data', 'end'])
    expect(line.owner).toEqual(['closed'])
    expect(line.near().destroyed).toBe(true)
  })

  test.each(PHASES)('are not the answer to a request that comes in the same turn, %s', async (_where, within) => {
    const line = await idleLine()
    const first = line.received()
    let answer = line.send
    const sent = new Promise<ReturnType<Line['send']>>((resolve) => {
      answer = () => {
        line.far().write('HTTP/1.1 203 Poison\r\nContent-Length: 0\r\n\r\n')
        const second = line.send()
        resolve(second)
        return second
      }
    })
    await within(answer)
    const second = await sent
    await second.over
    expect(second.told).toEqual(['failed'])
    expect(second.error).toMatchObject({ code: 'GW_UPSTREAM_RESPONSE' })
    expect(line.received()).toBe(first)
  })
})

describe('an upstream that closes an idle connection', () => {
  test.each<[string, (socket: Socket) => void]>([
    ['ends', (socket) => socket.end()],
    ['resets', (socket) => socket.resetAndDestroy()],
  ])('%s it: its owner is told', async (_how, close) => {
    const line = await idleLine()
    close(line.far())
    await waitFor('the end', () => line.connection.closed)
    expect(line.owner).toEqual(['idle', 'closed'])
  })

  test.each(PHASES)('in the turn of the next request, %s: that has not been sent', async (_where, within) => {
    const line = await idleLine()
    const sent = new Promise<ReturnType<Line['send']>>((resolve, reject) => {
      within(() => {
        line.far().destroy()
        resolve(line.send())
      }).catch(reject)
    })
    const answer = await sent
    await answer.over
    expect(answer.told).toEqual(['failed'])
    expect(answer.error).toMatchObject({ code: 'GW_UPSTREAM_RESET' })
    expect(line.owner).toEqual(['idle', 'closed'])
  })
})

describe('time', () => {
  const timedOut = { code: 'GW_UPSTREAM_TIMEOUT' }

  test.each([
    ['for the head', ''],
    ['for the rest of the head', 'HTTP/1.1 200 OK\r\n'],
    ['for more of the body', OK.slice(0, -1)],
  ])('an upstream that is waited for too long, %s: GW_UPSTREAM_TIMEOUT', async (_for, text) => {
    const line = await lineTo((socket) => socket.write(text), { readTimeout: 150 })
    // A timer that began with the other one ends before it, however late both are.
    const before = pause(140).then(() => 'still waiting')
    const answer = line.send()
    expect(await Promise.race([before, answer.over])).toBe('still waiting')
    expect(await answer.over).toBe('failed')
    expect(answer.error).toMatchObject(timedOut)
    expect(line.owner).toEqual(['closed'])
    expect(line.near().destroyed).toBe(true)
  })

  test('an answer that comes slowly, but comes, is taken', async () => {
    const line = await lineTo(
      async (socket) => {
        for (const byte of OK.slice(-12)) {
          await pause(120)
          socket.write(byte)
        }
      },
      { readTimeout: 1200 },
    )
    const answer = line.send()
    await waitFor('the connection', () => line.received() !== '')
    line.far().write(OK.slice(0, -12))
    expect(await answer.over).toBe('end')
  })

  test('no time is counted while the client takes nothing, but afterwards again', async () => {
    const line = await lineTo((socket) => socket.write(OK.slice(0, -1)), { readTimeout: 100 })
    const answer = line.send()
    answer.on = (what) => {
      if (what === 'data') line.connection.pause()
    }
    await waitFor('half an answer', () => answer.body === 'o')
    await pause(400)
    expect(answer.told).not.toContain('failed')
    line.connection.resume()
    expect(await answer.over).toBe('failed')
    expect(answer.error).toMatchObject(timedOut)
  })

  test('no time is counted while the client has not sent all of its body, but afterwards', async () => {
    const line = await lineTo(answerNone, { readTimeout: 100 })
    const body = new Readable({ read() {} })
    const answer = line.send({ body: bodyOf(body), chunked: true })
    await waitFor('the head', () => line.received() !== '')
    await pause(400)
    expect(answer.told).toEqual(['sent'])
    body.push(null)
    expect(await answer.over).toBe('failed')
    expect(answer.error).toMatchObject(timedOut)
  })

  test('an idle connection closes after the idle timeout, in which the read timeout has no part', async () => {
    const line = await lineTo(answerAll, { readTimeout: 50, idleTimeout: 2000 })
    await line.send().over
    await pause(200)
    expect(line.connection.closed).toBe(false)
    await waitFor('the end', () => line.connection.closed)
    expect(line.owner).toEqual(['idle', 'closed'])
  })

  test('an idle connection is kept where its timeout is 0', async () => {
    const line = await lineTo(answerAll, { readTimeout: 50, idleTimeout: 0 })
    await line.send().over
    await pause(300)
    expect(line.owner).toEqual(['idle'])
    expect(await line.send().over).toBe('end')
  })

  test.each([0, 60_000])(
    'an idle connection closes before its upstream closes it, as that has announced (idle timeout %d)',
    async (idleTimeout) => {
      const announced = OK.replace('\r\n', '\r\nKeep-Alive: timeout=1, max=99\r\n')
      const line = await lineTo((socket) => socket.write(announced), { idleTimeout })
      await line.send().over
      await waitFor('the end', () => line.connection.closed)
      expect(line.owner).toEqual(['idle', 'closed'])
    },
  )

  test('of two limits in turn each counts from its own beginning, also a short one after a long one', async () => {
    let answers = true
    const line = await lineTo((socket) => void (answers && socket.write(OK)), { readTimeout: 200, idleTimeout: 20_000 })
    await line.send().over
    // The timer looks by the idle timeout now.
    await pause(300)
    answers = false
    const answer = line.send()
    const early = pause(190).then(() => 'still waiting')
    expect(await Promise.race([early, answer.over])).toBe('still waiting')
    expect(await answer.over).toBe('failed')
    expect(answer.error).toMatchObject(timedOut)
  })

  test('the time begins again when a client that was waited for takes more', async () => {
    const line = await lineTo((socket) => socket.write(OK.slice(0, -1)), { readTimeout: 400 })
    const answer = line.send()
    answer.on = (what) => {
      if (what === 'data') line.connection.pause()
    }
    await waitFor('half an answer', () => answer.body === 'o')
    await pause(250)
    line.connection.resume()
    const early = pause(300).then(() => 'still waiting')
    expect(await Promise.race([early, answer.over])).toBe('still waiting')
    expect(await answer.over).toBe('failed')
  })

  test.each(PHASES)(
    'a request that comes when the idle timeout has just run out, %s, is served',
    async (_where, within) => {
      const line = await lineTo(answerAll, { idleTimeout: 100 })
      await line.send().over
      const sent = new Promise<ReturnType<Line['send']>>((resolve, reject) => {
        within(() => {
          // A turn of the event loop that takes so long that the timer is due.
          Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 150)
          resolve(line.send())
        }).catch(reject)
      })
      expect(await (await sent).over).toBe('end')
    },
  )

  test('the idle timeout has no part in the next answer', async () => {
    let delay = 0
    const line = await lineTo((socket) => setTimeout(() => socket.write(OK), delay), { idleTimeout: 100 })
    await line.send().over
    delay = 300
    expect(await line.send().over).toBe('end')
  })
})
