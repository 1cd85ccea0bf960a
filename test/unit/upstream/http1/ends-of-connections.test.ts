import { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import { describe, expect, test } from '@jest/globals'
import type { Connector } from '../../../../src/upstream/tls-identity.ts'
import { pause, waitFor } from '../../../support/wait.ts'
import { bodyOf, connectorThatFails, connectorTo, lineTo, OK } from './exchanges.ts'

const RESET = { code: 'GW_UPSTREAM_RESET' }
const MALFORMED = { code: 'GW_UPSTREAM_RESPONSE' }

test('an answer without a length ends with its connection, which carries no other', async () => {
  const line = await lineTo((socket) => {
    socket.write('HTTP/1.1 200 OK\r\n\r\nall that ')
    setTimeout(() => socket.end('there is'), 20)
  })
  const answer = line.send()
  expect(await answer.over).toBe('end')
  expect(answer.body).toBe('all that there is')
  expect(line.owner).toEqual(['closed'])
})

test.each([
  ['Connection: close', 'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok'],
  ['HTTP/1.0', 'HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok'],
])('an answer with %s is the last of its connection', async (_what, text) => {
  const line = await lineTo((socket) => socket.write(text))
  const answer = line.send()
  expect(await answer.over).toBe('end')
  expect(answer.body).toBe('ok')
  expect(line.owner).toEqual(['closed'])
  await waitFor('the end', () => line.far().destroyed)
})

describe('an answer that is cut off', () => {
  test.each([
    ['before its head', ''],
    ['within its head', 'HTTP/1.1 200 OK\r\nContent-'],
    ['after an interim one', 'HTTP/1.1 103 Early\r\n\r\n'],
    ['within a counted body', OK.slice(0, -1)],
    ['within a chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfour'],
    ['between chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfour\r\n'],
    ['within its trailers', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: 1\r\n'],
  ])('%s never looks complete: GW_UPSTREAM_RESET', async (_where, text) => {
    const line = await lineTo((socket) => socket.end(text))
    const answer = line.send()
    expect(await answer.over).toBe('failed')
    expect(answer.error).toMatchObject(RESET)
    expect(answer.told).not.toContain('end')
    expect(line.owner).toEqual(['closed'])
  })

  test('by a reset: not even one without a length looks complete', async () => {
    const line = await lineTo((socket) => {
      socket.write('HTTP/1.1 200 OK\r\n\r\nhalf')
      setTimeout(() => socket.resetAndDestroy(), 20)
    })
    const answer = line.send()
    expect(await answer.over).toBe('failed')
    expect(answer.error).toMatchObject({ code: 'ECONNRESET' })
  })
})

test('what is no answer ends the connection: GW_UPSTREAM_RESPONSE', async () => {
  const line = await lineTo((socket) => socket.write('SSH-2.0-OpenSSH_9.9\r\n'))
  const answer = line.send()
  expect(await answer.over).toBe('failed')
  expect(answer.error).toMatchObject(MALFORMED)
  expect(line.near().destroyed).toBe(true)
})

describe('why a request failed', () => {
  const alert = Object.assign(new Error('tlsv13 alert certificate required'), { code: 'ERR_SSL_ALERT' })

  test.each<[string, (near: Socket, far: Socket) => void]>([
    ['the end', (_near, far) => far.end()],
    ['the close', (near) => near.destroy()],
    ['another error', (near) => near.destroy(new Error('write EPIPE'))],
  ])('is what the connection reported first, not %s that follows', async (_what, close) => {
    const line = await lineTo(() => {})
    const answer = line.send()
    await waitFor('the request', () => line.received() !== '')
    line.near().emit('error', alert)
    close(line.near(), line.far())
    expect(await answer.over).toBe('failed')
    expect(answer.error).toBe(alert)
    await waitFor('the close', () => line.near().closed)
    expect(answer.told).toEqual(['sent', 'failed'])
    expect(line.owner).toEqual(['closed'])
  })

  test('is what the connector says, where there is no connection; nothing was sent', async () => {
    const refused = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })
    const line = await lineTo(() => {}, { connector: () => connectorThatFails(refused) })
    const answer = line.send()
    expect(await answer.over).toBe('failed')
    expect(answer.error).toBe(refused)
    expect(answer.told).toEqual(['failed'])
    expect(line.owner).toEqual(['closed'])
  })

  test('is what the handler could not do with the answer', async () => {
    const line = await lineTo((socket) => socket.write(OK))
    const answer = line.send()
    const reason = new Error('a header that cannot be passed on')
    answer.on = (what) => {
      if (what === 'head 200') throw reason
    }
    expect(await answer.over).toBe('failed')
    expect(answer.error).toBe(reason)
    expect(line.near().destroyed).toBe(true)
  })
})

describe('given up', () => {
  const given = new Error('the client has left')

  test('while the connection is opened: it is closed as soon as it stands', async () => {
    const opened = new EventEmitter()
    const connector =
      (port: number): Connector =>
      (done, onread) =>
        connectorTo(port)((error, socket) => {
          opened.once('now', () => done(error, socket))
          opened.emit('ready')
        }, onread)
    const line = await lineTo(() => {}, { connector })
    const ready = new Promise((resolve) => opened.once('ready', resolve))
    const answer = line.send()
    await ready
    line.connection.abort(given)
    expect(answer.told).toEqual(['failed'])
    opened.emit('now')
    await waitFor('the close', () => line.near().closed)
    expect([line.owner, line.received(), answer.told]).toEqual([['closed'], '', ['failed']])
  })

  test('before it is written: nothing of it is sent', async () => {
    const line = await lineTo((socket) => socket.write(OK))
    await line.send().over
    const first = line.received()
    const answer = line.send()
    line.connection.abort(given)
    expect(answer.told).toEqual(['failed'])
    await waitFor('the end', () => line.far().destroyed)
    expect([line.owner, line.received(), answer.told]).toEqual([['idle', 'closed'], first, ['failed']])
  })

  test.each([['sent'], ['interim 103'], ['head 200'], ['data']])('when told of %s: no more is told', async (stage) => {
    const line = await lineTo((socket) => socket.write(`HTTP/1.1 103 Early\r\n\r\n${OK}`))
    const answer = line.send()
    answer.on = (what) => {
      if (what === stage) line.connection.abort(given)
    }
    expect(await answer.over).toBe('failed')
    expect(answer.error).toBe(given)
    await waitFor('the end', () => line.near().closed)
    expect(answer.told.slice(answer.told.indexOf(stage))).toEqual([stage, 'failed'])
    expect(line.owner).toEqual(['closed'])
    if (stage === 'sent') expect(line.received()).toBe('')
  })

  test('within its body: that is given up too', async () => {
    const line = await lineTo(() => {})
    const body = new Readable({ read() {} })
    const answer = line.send({ body: bodyOf(body), chunked: true })
    await waitFor('the head', () => line.received() !== '')
    line.connection.abort(given)
    expect([answer.told, body.destroyed]).toEqual([['sent', 'failed'], true])
    await waitFor('the end', () => line.far().destroyed)
    expect(line.owner).toEqual(['closed'])
  })
})

describe('a client that takes no more', () => {
  test('holds the answer back, and gets all of it once it does', async () => {
    const size = 20_000_000
    const line = await lineTo((socket) => {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`)
      socket.write(Buffer.alloc(size, 'x'))
    })
    const answer = line.send()
    answer.on = (what) => {
      if (what === 'head 200') line.connection.pause()
    }
    await waitFor('the head', () => answer.told.includes('head 200'))
    const before = answer.body.length
    await pause(100)
    expect(answer.body.length).toBe(before)
    expect(before).toBeLessThan(200_000)
    line.connection.resume()
    expect(await answer.over).toBe('end')
    expect(answer.body.length).toBe(size)
  })

  test('of the last bytes of an answer does not hold back the next one', async () => {
    const line = await lineTo((socket) => socket.write(OK))
    const answer = line.send()
    answer.on = (what) => {
      if (what === 'data') line.connection.pause()
    }
    expect(await answer.over).toBe('end')
    expect(await line.send().over).toBe('end')
  })
})

describe('an upgrade', () => {
  const AGREED = 'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n'

  test('hands over the socket, what came behind the head, and no listener of ours', async () => {
    const events = ['data', 'drain', 'end', 'error', 'timeout']
    let before: number[] = []
    const connector =
      (port: number): Connector =>
      (done, onread) =>
        connectorTo(port)((error, socket) => {
          before = events.map((event) => (socket as Socket).listenerCount(event))
          done(error, socket)
        }, onread)
    const agree = (socket: Socket, received: string) => received.endsWith('\r\n\r\n') && socket.write(`${AGREED}first`)
    const line = await lineTo(agree, { connector, readTimeout: 200 })
    const answer = line.send({ upgrade: true })
    let after: number[] = []
    let taken = ''
    answer.on = (what) => {
      if (what !== 'upgraded 101') return
      after = events.map((event) => line.near().listenerCount(event))
      line.near().on('data', (chunk) => {
        taken += chunk.toString('latin1')
      })
    }
    expect(await answer.over).toBe('upgraded')
    expect([answer.upgradedTo?.socket, answer.upgradedTo?.rest]).toEqual([line.near(), 'first'])
    expect(after).toEqual(before)
    expect(line.near().timeout).toBeFalsy()
    line.near().write('up')
    await waitFor('the other side', () => line.received().endsWith('up'))
    // Longer than the read timeout.
    await pause(400)
    line.far().write('down')
    await waitFor('our side', () => taken === 'down')
    expect([line.owner, answer.told]).toEqual([[], ['sent', 'upgraded 101']])
    line.far().destroy()
    await waitFor('the end', () => line.near().closed)
    expect([line.owner, answer.told]).toEqual([['released'], ['sent', 'upgraded 101']])
  })

  test('that is refused is an answer like any other', async () => {
    const line = await lineTo((socket) => socket.write(OK))
    const answer = line.send({ upgrade: true })
    expect(await answer.over).toBe('end')
    expect(line.owner).toEqual(['idle'])
  })

  test('that nobody asked for is none', async () => {
    const line = await lineTo((socket) => socket.write(AGREED))
    const answer = line.send()
    expect(await answer.over).toBe('failed')
    expect(answer.error).toMatchObject(MALFORMED)
    expect([answer.told, line.owner]).toEqual([['sent', 'failed'], ['closed']])
  })
})
