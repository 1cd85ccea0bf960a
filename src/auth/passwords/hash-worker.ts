/** The thread that hashes: checking one password takes tens of milliseconds, in which the thread that serves requests would stand still. */
import { parentPort } from 'node:worker_threads'
import { matches } from './hash.ts'

export interface HashTask {
  readonly id: number
  readonly password: string
  readonly hash: string
}

export interface HashResult {
  readonly id: number
  readonly matches: boolean
}

parentPort?.on('message', ({ id, password, hash }: HashTask) => {
  parentPort?.postMessage({ id, matches: matches(password, hash) } satisfies HashResult)
})
