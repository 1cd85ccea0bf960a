/** Against guessing: after a few failed attempts one more is allowed only from time to time, and ever more rarely. */
import { createHmac } from 'node:crypto'
import type { Store } from '../types.ts'

export interface LockoutOptions {
  /** Failed attempts that cost nothing; 0 turns it off. */
  readonly attempts: number
  /** Milliseconds until failed attempts are forgotten. */
  readonly window: number
  /** Milliseconds after the first attempt too many; each further one doubles them. */
  readonly backoff: number
  /** The longest that anybody has to wait, in milliseconds. */
  readonly maxBackoff: number
  /** Whoever counts in the same store must have the same, or names that are not there would be counted in other places than those that are. */
  readonly key: Buffer
}

/** Undefined: go ahead. Else the seconds to wait. */
export type Wait = number | undefined

export class Lockout {
  readonly #store: Store
  readonly #options: LockoutOptions

  constructor(store: Store, options: LockoutOptions) {
    this.#store = store
    this.#options = options
  }

  /**
   * Counts an attempt before it is made, so that many at once are not one. `subject` names who is tried; that of somebody who is not there
   * must be made by `stranger`.
   */
  async begin(subject: string): Promise<Wait> {
    const { attempts, window, backoff, maxBackoff } = this.#options
    if (attempts === 0) return undefined
    const waiting = await this.#store.get(lockOf(subject))
    if (waiting !== undefined) return secondsUntil(Number(waiting))
    const count = await this.#store.increment(countOf(subject), window)
    if (count < attempts) return undefined
    const pause = Math.min(backoff * 2 ** Math.min(count - attempts, 30), maxBackoff)
    // Whoever adds it may try; the others of the same moment wait with everybody else.
    return (await this.#store.add(lockOf(subject), `${Date.now() + pause}`, pause))
      ? undefined
      : secondsUntil(Date.now() + pause)
  }

  async succeeded(subject: string): Promise<void> {
    if (this.#options.attempts === 0) return
    await this.#store.delete(countOf(subject))
    await this.#store.delete(lockOf(subject))
  }

  /** Who is not there is locked out like everybody else, or the difference would tell. Few keys, since names come from outside without end. */
  stranger(name: string): string {
    const bucket = createHmac('sha256', this.#options.key).update(name).digest().readUInt16BE() % STRANGERS
    return `?${bucket}`
  }
}

const STRANGERS = 4096

function countOf(subject: string): string {
  return `failed:${subject}`
}

function lockOf(subject: string): string {
  return `locked:${subject}`
}

function secondsUntil(time: number): number {
  return Math.max(1, Math.ceil((time - Date.now()) / 1000))
}
