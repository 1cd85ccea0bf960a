/** Slows guessing down: after a few failed attempts, another is allowed only after a pause, which grows with each failure. */
import { createHmac } from 'node:crypto'
import type { Store } from '../types.ts'

export interface LockoutOptions {
  /** How many failed attempts have no effect; 0 turns the pauses off. */
  readonly attempts: number
  /** Milliseconds until failed attempts are forgotten. */
  readonly window: number
  /** The pause after the first attempt beyond that, in milliseconds; each further attempt doubles it. */
  readonly backoff: number
  /** The longest that anybody has to wait, in milliseconds. */
  readonly maxBackoff: number
  /** Must be the same in all gateways that share the store. Otherwise unknown names would be counted elsewhere than known ones. */
  readonly key: Buffer
}

/** Undefined where the attempt may be made; otherwise the seconds to wait. */
export type Wait = number | undefined

export class Lockout {
  readonly #store: Store
  readonly #options: LockoutOptions

  constructor(store: Store, options: LockoutOptions) {
    this.#store = store
    this.#options = options
  }

  /**
   * Counts an attempt before it is made, so that many at once do not count as one.
   * @param subject names the user; for an unknown user it must come from `stranger`
   */
  async begin(subject: string): Promise<Wait> {
    const { attempts, window, backoff, maxBackoff } = this.#options
    if (attempts === 0) return undefined
    const waiting = await this.#store.get(lockOf(subject))
    if (waiting !== undefined) return secondsUntil(Number(waiting))
    const count = await this.#store.increment(countOf(subject), window)
    if (count < attempts) return undefined
    const pause = Math.min(backoff * 2 ** Math.min(count - attempts, 30), maxBackoff)
    // Whoever adds the lock may try; others at the same moment have to wait.
    return (await this.#store.add(lockOf(subject), `${Date.now() + pause}`, pause))
      ? undefined
      : secondsUntil(Date.now() + pause)
  }

  async succeeded(subject: string): Promise<void> {
    if (this.#options.attempts === 0) return
    await this.#store.delete(countOf(subject))
    await this.#store.delete(lockOf(subject))
  }

  /**
   * Unknown users are locked out like known ones, or the difference would show who exists. There are only few such keys, since clients can invent any
   * number of names. A NUL in front, with which the Identity API marks a name as nobody's, makes no difference: attempts at a user are counted together,
   * in whatever way they are made.
   */
  stranger(name: string): string {
    const bucket =
      createHmac('sha256', this.#options.key).update(name.replace(/^\0/, '')).digest().readUInt16BE() % STRANGERS
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
