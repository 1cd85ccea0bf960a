/** Each kind of traffic as one round: what a client does from its first to its last byte. A round that rejects was lost. */
import { createHash } from 'node:crypto'
import { on, once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { WebSocket } from 'ws'
import { agentFor, type Caller, checkSaw, type Exchange, exchange, type Outcome, WrongAnswer } from './callers.ts'
import { BodyCheck, piece } from './contents.ts'

export interface Stage {
  readonly port: number
  readonly caller: Caller
  /** Counts one more that was as it must be. */
  readonly succeeded: () => void
  readonly stopping: () => boolean
}

export type Round = (stage: Stage) => Promise<void>

/** A failure that HTTP allows nobody to save, where a target died just then. */
export class Unsavable extends Error {}

/** Kept connections with small requests, most of them to both targets, some of which may be sent once only. */
export const kept: Round = async (stage) => {
  const agent = agentFor(stage.caller, { keepAlive: true, resumes: false })
  try {
    for (let left = between(5, 80); left > 0 && !stage.stopping(); left--) {
      await small(stage, agent)
      await sleep(between(50, 450))
    }
  } finally {
    agent.destroy()
  }
}

async function small(stage: Stage, agent: Exchange['agent']): Promise<void> {
  const { port, caller } = stage
  const common = { port, caller, agent }
  const chance = Math.random()
  if (chance < 0.1) await upload(stage, agent, 'steady', between(1, 2000))
  else if (chance < 0.15) {
    const outcome = await tryUpload(stage, agent, 'mortal', between(1, 2000))
    if (outcome.status === 502) throw new Unsavable(outcome.code)
    must(outcome)
  } else await answer(common, chance < 0.6 ? 'mortal' : 'steady', between(0, 2000))
  stage.succeeded()
}

/** A connection for each request; half of them resume a session. */
export const fresh: Round = async (stage) => {
  const agent = agentFor(stage.caller, { keepAlive: false, resumes: Math.random() < 0.7 })
  for (let left = 4; left > 0 && !stage.stopping(); left--) {
    await answer({ ...stage, agent }, Math.random() < 0.5 ? 'mortal' : 'steady', 100)
    stage.succeeded()
    await sleep(between(100, 500))
  }
}

export const downloads: Round = async (stage) => {
  await answer({ ...stage, agent: agentFor(stage.caller, ONCE) }, 'steady', between(10_000, 3_000_000))
  stage.succeeded()
  await sleep(between(300, 1000))
}

/** A reader who takes some ten seconds for a body that the upstream has ready at once. */
export const slowReaders: Round = async (stage) => {
  await answer({ ...stage, agent: agentFor(stage.caller, ONCE) }, 'steady', 2_000_000, async (response) => {
    for (let waits = 0; waits < 20; waits++) {
      response.pause()
      await sleep(between(300, 700))
      response.resume()
      await sleep(5)
    }
  })
  stage.succeeded()
}

export const uploads: Round = async (stage) => {
  await upload(stage, agentFor(stage.caller, ONCE), 'steady', between(10_000, 2_000_000), Math.random() < 0.3)
  stage.succeeded()
  await sleep(between(300, 1000))
}

/** Answers of some seconds, in which a reload or the end of a worker comes. */
export const longAnswers: Round = async (stage) => {
  const [pieces, every] = [between(3, 10), between(300, 1000)]
  const check = new BodyCheck(0, pieces)
  const path = `/steady/drip?pieces=${pieces}&every=${every}`
  must(
    await exchange({
      ...stage,
      agent: agentFor(stage.caller, ONCE),
      path,
      receive: (response) => read(response, check),
    }),
  )
  whole(check)
  stage.succeeded()
}

/** A message of random length each moment, and the same must come back. */
export const webSockets: Round = async ({ port, caller, succeeded }) => {
  const nonce = Math.random().toString(16).slice(2)
  const headers = { 'x-nonce': nonce, VERIFIED: 'SUCCESS', DN: 'CN=forged' }
  const options = { ...caller.tls, headers, servername: 'localhost', perMessageDeflate: false }
  const socket = new WebSocket(`wss://127.0.0.1:${port}/steady/socket`, options)
  const inbox = on(socket, 'message', { close: ['close'], signal: AbortSignal.timeout(120_000) })
  const next = async (): Promise<Buffer> => {
    const { value, done } = await inbox.next()
    if (done) throw new Error('the WebSocket was closed')
    return value[0]
  }
  try {
    const saw = JSON.parse(String(await next())) as Record<string, string>
    checkSaw(caller, (fact) => saw[fact] ?? '', nonce)
    for (let left = between(5, 40); left > 0; left--) {
      const message = piece(between(0, 1_000_000), between(1, left % 10 === 0 ? 100_000 : 500))
      socket.send(message)
      if (!message.equals(await next())) throw new WrongAnswer('another message came back')
      succeeded()
      await sleep(between(100, 400))
    }
  } finally {
    socket.on('error', () => {}).terminate()
  }
}

/** Clients that leave in the middle: nothing to be checked, but nothing may be left of them either. */
export const leavers: Round = async (stage) => {
  const agent = agentFor(stage.caller, ONCE)
  const leaving = new Error('as meant')
  const leave = async () => {
    throw leaving
  }
  const sendHalf = async (request: NodeJS.WritableStream) => {
    request.write(piece(0, 50_000))
    await sleep(100)
    await leave()
  }
  const uploads = Math.random() < 0.5
  const half: Partial<Exchange> = uploads ? { method: 'PUT', send: sendHalf } : { receive: leave }
  const path = uploads ? '/steady/upload' : '/steady/body?from=0&size=3000000'
  await exchange({ ...stage, agent, path, ...half }).catch((error: unknown) => {
    if (error !== leaving) throw error
  })
  agent.destroy()
  stage.succeeded()
  await sleep(between(300, 1000))
}

/** Each call tells whether he was let in. */
export function outlawCalls(port: number, caller: Caller): () => Promise<boolean | string> {
  const agent = agentFor(caller, { keepAlive: false, resumes: true })
  return async () => {
    const { status } = await exchange({ port, caller, agent, path: '/steady/body?from=0&size=10' })
    return status === 400 ? false : status === 200 || `answered with ${status}`
  }
}

const ONCE = { keepAlive: false, resumes: false }

type Service = 'steady' | 'mortal'

async function answer(
  common: Pick<Exchange, 'port' | 'caller' | 'agent'>,
  service: Service,
  size: number,
  dawdle?: (response: IncomingMessage) => Promise<void>,
): Promise<void> {
  const from = between(0, 1_000_000)
  const check = new BodyCheck(from, size)
  const receive = async (response: IncomingMessage) => {
    const end = read(response, check).catch((error: Error) => {
      throw service === 'mortal' ? new Unsavable(`${error.message} within the answer`) : error
    })
    await Promise.all([end, dawdle?.(response)])
  }
  must(await exchange({ ...common, path: `/${service}/body?from=${from}&size=${size}`, receive }))
  whole(check)
}

async function upload(
  stage: Stage,
  agent: Exchange['agent'],
  service: Service,
  size: number,
  slow = false,
): Promise<void> {
  must(await tryUpload(stage, agent, service, size, slow))
}

/** The backend says what it read, as a hash. */
async function tryUpload(
  { port, caller }: Stage,
  agent: Exchange['agent'],
  service: Service,
  size: number,
  slow = false,
): Promise<Outcome> {
  const from = between(0, 1_000_000)
  const hash = createHash('sha256')
  const send = async (request: NodeJS.WritableStream) => {
    for (let sent = 0; sent < size; ) {
      const bytes = piece(from + sent, Math.min(100_000, size - sent))
      sent += bytes.length
      hash.update(bytes)
      if (!request.write(bytes)) await once(request, 'drain', { signal: AbortSignal.timeout(60_000) })
      if (slow) await sleep(between(50, 300))
    }
    request.end()
  }
  let text = ''
  const receive = async (response: IncomingMessage) => {
    for await (const chunk of response.setEncoding('latin1')) text += chunk
    if (text !== hash.digest('hex')) throw new WrongAnswer('the backend read another body')
  }
  const headers = Math.random() < 0.5 ? { 'content-length': size } : {}
  return exchange({ port, caller, agent, path: `/${service}/upload`, method: 'POST', headers, send, receive })
}

async function read(response: IncomingMessage, check: BodyCheck): Promise<void> {
  response.on('data', (chunk: Buffer) => check.take(chunk))
  await once(response, 'end', { signal: AbortSignal.timeout(120_000) })
}

function must({ status, code }: Outcome): void {
  if (status !== 200) throw new Error(`answered with ${status} ${code}`)
}

function whole({ problem }: BodyCheck): void {
  if (problem !== undefined) throw new WrongAnswer(problem)
}

function between(least: number, most: number): number {
  return least + Math.floor(Math.random() * (most - least + 1))
}
