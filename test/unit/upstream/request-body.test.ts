import { once } from 'node:events'
import { PassThrough } from 'node:stream'
import { describe, expect, test } from '@jest/globals'
import type { Call, CallLimits } from '../../../src/types.ts'
import { RequestBody } from '../../../src/upstream/request-body.ts'
import { pause, waitFor, within } from '../../support/wait.ts'
import { callOf } from './support.ts'

/** Stands for the IncomingMessage; `complete` once the client has sent everything. */
class FakeRequest extends PassThrough {
  complete = false
  readonly body = this
  /** What has been asked of the connection. */
  readonly asked: string[] = []
  readonly socket = { pause: () => this.asked.push('pause'), resume: () => this.asked.push('resume') }
  finish(chunk?: string): void {
    this.complete = true
    this.end(chunk)
  }
}

function bodyOf(limits: Partial<CallLimits> = {}, writeTimeout = 5000) {
  const request = new FakeRequest()
  let begun = 0
  const body = new RequestBody(callOf(request, limits), writeTimeout, () => {
    begun += 1
  })
  return { request, body, begun: () => begun }
}

/** Lets it flow; `over` is what it ended with. */
function flowing(body: RequestBody) {
  let text = ''
  let settle: (outcome: unknown) => void = () => {}
  const settled = new Promise((resolve) => {
    settle = resolve
  })
  let outcomes = 0
  const over = (outcome: unknown) => {
    outcomes += 1
    settle(outcome)
  }
  body.flow({ data: (chunk) => (text += String(chunk)), end: () => over('end'), failed: over })
  return { text: () => text, outcomes: () => outcomes, over: () => within(5, 'the end of the body', settled) }
}

async function textOf(body: RequestBody): Promise<string> {
  const flow = flowing(body)
  expect(await flow.over()).toBe('end')
  return flow.text()
}

test('what the client sends arrives whole, and nothing was asked for before', async () => {
  const { request, body, begun } = bodyOf()
  request.write('one,')
  await pause(20)
  expect([body.started, begun()]).toEqual([false, 0])
  request.finish('two')
  expect(await textOf(body)).toBe('one,two')
  expect([body.started, begun()]).toEqual([true, 1])
})

test('an empty body ends', async () => {
  const { request, body } = bodyOf()
  request.finish()
  expect(await textOf(body)).toBe('')
})

describe('limits', () => {
  test('a body as large as allowed passes', async () => {
    const { request, body } = bodyOf({ maxBodySize: 10 })
    request.finish('0123456789')
    expect(await textOf(body)).toBe('0123456789')
  })
  test('a byte more, over several chunks, is too large', async () => {
    const { request, body } = bodyOf({ maxBodySize: 10 })
    const flow = flowing(body)
    request.write('012345')
    request.write('67890')
    expect(await flow.over()).toMatchObject({ code: 'GW_BODY_TOO_LARGE' })
    request.finish('and more')
    await pause(20)
    expect([flow.text(), flow.outcomes()]).toEqual(['012345', 1])
  })
  test('0 is no limit', async () => {
    const { request, body } = bodyOf({ maxBodySize: 0 })
    request.finish('x'.repeat(500_000))
    expect(await textOf(body)).toHaveLength(500_000)
  })
})

describe('timeouts', () => {
  test('a client that stops sending', async () => {
    const { request, body } = bodyOf({ bodyTimeout: 50 })
    const flow = flowing(body)
    request.write('half')
    expect(await flow.over()).toMatchObject({ code: 'GW_REQUEST_TIMEOUT' })
  })
  test('a client that sends slowly, but in time', async () => {
    const { request, body } = bodyOf({ bodyTimeout: 300 })
    const text = textOf(body)
    for (let i = 0; i < 5; i++) {
      await pause(100)
      request.write('x')
    }
    request.finish()
    expect(await text).toBe('xxxxx')
  })
  test('an upstream that stops reading', async () => {
    const { request, body } = bodyOf({}, 50)
    const flow = flowing(body)
    request.write('some')
    body.pause()
    expect(request.isPaused()).toBe(true)
    expect(await flow.over()).toMatchObject({ code: 'GW_UPSTREAM_TIMEOUT' })
  })
  test('an upstream that reads again: its time is over, and that of the client begins', async () => {
    const { body } = bodyOf({ bodyTimeout: 300 }, 150)
    const flow = flowing(body)
    body.pause()
    body.resume()
    await pause(200)
    expect(flow.outcomes()).toBe(0)
    expect(await flow.over()).toMatchObject({ code: 'GW_REQUEST_TIMEOUT' })
  })
  test('none goes off after the end', async () => {
    const { request, body } = bodyOf({ bodyTimeout: 30 }, 30)
    const flow = flowing(body)
    request.finish('all')
    expect(await flow.over()).toBe('end')
    body.pause()
    await pause(60)
    expect(flow.outcomes()).toBe(1)
  })
})

describe('a client that sends thousands of tiny pieces at once is not read for a moment', () => {
  function crumbled() {
    const { request, body } = bodyOf()
    const flow = flowing(body)
    for (let i = 0; i < 2000; i++) request.write('x')
    expect(request.asked).toEqual(['pause'])
    return { request, body, flow }
  }
  const goesOn = (request: FakeRequest) => waitFor('the connection to be read again', () => request.asked.length > 1)

  test('and then read again, without anything being lost', async () => {
    const { request, flow } = crumbled()
    await goesOn(request)
    expect(request.asked).toEqual(['pause', 'resume'])
    request.finish()
    expect(await flow.over()).toBe('end')
    expect(flow.text()).toHaveLength(2000)
  })

  test('and as long as the upstream takes nothing', async () => {
    const { request, body, flow } = crumbled()
    body.pause()
    await waitFor('what was read', () => flow.text().length > 0)
    await pause(5)
    expect(request.asked).toEqual(['pause'])
    body.resume()
    expect(request.asked).toEqual(['pause', 'resume'])
    request.finish()
    expect(await flow.over()).toBe('end')
    expect(flow.text()).toHaveLength(2000)
  })

  test('and also where the upstream gives up: the next request may be on its way', () => {
    const { request, body } = crumbled()
    body.giveUp()
    expect(request.asked).toEqual(['pause', 'resume'])
  })
})

describe('whoever goes', () => {
  test('the client, within the body', async () => {
    const { request, body } = bodyOf()
    const flow = flowing(body)
    request.write('half')
    request.destroy()
    expect(await flow.over()).toMatchObject({ code: 'GW_CLIENT_CLOSED' })
  })
  test('the client, after the body: the body is whole', async () => {
    const { request, body } = bodyOf()
    const text = textOf(body)
    request.finish('all')
    await once(request, 'close')
    expect(await text).toBe('all')
  })
  test('the upstream: the request itself stays, for the answer', async () => {
    const { request, body } = bodyOf({ bodyTimeout: 30 })
    const flow = flowing(body)
    body.giveUp()
    await pause(60)
    expect([request.destroyed, flow.outcomes()]).toEqual([false, 0])
    expect(request.listenerCount('data')).toBe(0)
  })
})

describe('a body that is there already', () => {
  const counted = (length: number) => ({ body: { kind: 'length', length } }) as const

  async function arrived(text: string, framing: Partial<Call> = counted(Buffer.byteLength(text))) {
    const request = new FakeRequest()
    for (const character of text.slice(0, 3)) request.write(character)
    request.finish(text.slice(3))
    await pause(5)
    return new RequestBody({ ...callOf(request, {}), ...framing }, 5000, () => {})
  }

  test('is taken at once, and then counts as asked for', async () => {
    const body = await arrived('\xe9 and more')
    expect(String(body.takeWhole())).toBe('\xe9 and more')
    expect(body.started).toBe(true)
    expect(body.takeWhole()).toBeUndefined()
  })

  test.each([
    ['is chunked', 'abc', { body: { kind: 'chunked' } }],
    ['is large', 'x'.repeat(16 * 1024 + 1), undefined],
    ['is not all there', 'abc', counted(4)],
  ] as const)('is read as a stream where it %s', async (_case, text, framing) => {
    const body = await arrived(text, framing)
    expect([body.takeWhole(), body.started]).toEqual([undefined, false])
    expect(await textOf(body)).toBe(text)
  })

  test('is read as a stream while the client still sends, or once somebody reads it', async () => {
    const request = new FakeRequest()
    request.write('abc')
    await pause(5)
    const body = new RequestBody({ ...callOf(request, {}), ...counted(3) }, 5000, () => {})
    expect(body.takeWhole()).toBeUndefined()
    request.finish()
    request.on('data', () => {}).pause()
    expect(body.takeWhole()).toBeUndefined()
  })
})
