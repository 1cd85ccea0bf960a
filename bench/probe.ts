/**
 * A client in a thread of its own that sends small requests at a steady pace over connections that are kept, whether or not answers come, and
 * tells how long each took: what a stall of the gateway, as in a reload or when many connect at once, costs those who are there already. The time
 * of a request begins when it is due, also where all connections are busy or the thread is late: otherwise a stall would show in one request and
 * not in all that others would have sent meanwhile (coordinated omission).
 */
import { readFileSync } from 'node:fs'
import { Agent, request } from 'node:https'
import { setTimeout as sleep } from 'node:timers/promises'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { KEY_EXCHANGE } from './client.ts'
import type { Pki } from './pki.ts'

/** In milliseconds. */
export interface Latency {
  readonly requests: number
  readonly median: number
  readonly p90: number
  readonly p99: number
  readonly p999: number
  readonly longest: number
}

export interface Pace {
  readonly everyMs: number
  /** Sent together each time. */
  readonly requests: number
  readonly connections: number
}

const GENTLE: Pace = { everyMs: 5, requests: 1, connections: 8 }
/** Nothing is counted before the connections are there and the gateway is warm. */
const WARM_UP_MS = 1_000
/** On a busy machine requests pile up before they are, and take seconds to be answered: until half of them take no longer than this. */
const CALM_MS = 50
const MOST_WAITS = 20
const WAIT_MS = 200

export interface Probe {
  /** Latency of the requests that were sent while `step` ran, all of them answered. */
  during(step: () => Promise<unknown>): Promise<Latency>
  stop(): Promise<void>
}

export async function startProbe(pki: Pki, port: number, pace = GENTLE): Promise<Probe> {
  const thread = new Worker(new URL(import.meta.url), { workerData: { pki, port, pace }, env: {} })
  const failed = new Promise<never>((_, reject) => thread.once('error', reject))
  failed.catch(() => {})
  const samples = () => {
    const answered = new Promise<number[]>((resolve) => thread.once('message', resolve))
    thread.postMessage('samples')
    return Promise.race([answered, failed])
  }
  await sleep(WARM_UP_MS)
  for (let waits = 0; waits < MOST_WAITS && !(latencyOf(await samples()).median < CALM_MS); waits++)
    await sleep(WAIT_MS)
  return {
    async during(step) {
      await samples()
      await step()
      return latencyOf(await samples())
    },
    async stop() {
      await thread.terminate()
    },
  }
}

function latencyOf(samples: readonly number[]): Latency {
  const sorted = samples.toSorted((a, b) => a - b)
  const at = (part: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN
  return { requests: sorted.length, median: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999), longest: at(1) }
}

interface Target {
  readonly pki: Pki
  readonly port: number
  readonly pace: Pace
}

/** The thread: answers each message with the samples since the last one, once every request sent before it has its answer. */
function serve({ pki, port, pace: { everyMs, requests, connections } }: Target): void {
  const identity = { cert: readFileSync(pki.client.certificate), key: readFileSync(pki.client.key) }
  const agent = new Agent({
    ca: readFileSync(pki.ca),
    ecdhCurve: KEY_EXCHANGE,
    ...identity,
    keepAlive: true,
    maxSockets: connections,
  })
  const where = { host: '127.0.0.1', port, agent, servername: 'localhost', headers: { host: `localhost:${port}` } }
  let samples: number[] = []
  const waiting = new Set<Promise<void>>()
  const ask = (due: number) =>
    new Promise<void>((resolve, reject) => {
      const answered = () => {
        samples.push(performance.now() - due)
        resolve()
      }
      request(where, (response) => response.resume().once('end', answered).once('error', reject))
        .once('error', reject)
        .end()
    })
  let due = performance.now()
  setInterval(() => {
    // One turn of the timer may have to make up for several.
    for (const now = performance.now(); due <= now; due += everyMs) {
      for (let i = 0; i < requests; i++) {
        const asked = ask(due).finally(() => waiting.delete(asked))
        waiting.add(asked)
      }
    }
  }, everyMs)
  parentPort?.on('message', async () => {
    const taken = samples
    samples = []
    // What is still on its way belongs to the time that ends now.
    const before = [...waiting]
    await Promise.all(before)
    parentPort?.postMessage([...taken, ...samples.splice(0)])
  })
}

if (!isMainThread) serve(workerData as Target)
