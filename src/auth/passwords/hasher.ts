import { Worker } from 'node:worker_threads'
import { GatewayError } from '../../errors.ts'
import type { HashResult, HashTask } from './hash-worker.ts'

/** The thread's file has the same extension as this one: .js when compiled, .ts in the sources. */
const SCRIPT = new URL(`./hash-worker${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url)
/** An idle thread is ended to free its memory. */
const IDLE = 60_000

export interface HasherOptions {
  readonly threads: number
  /** How many checks may wait; more are refused with 503. */
  readonly queue: number
}

interface Waiting {
  readonly task: HashTask
  readonly resolve: (matches: boolean) => void
  readonly reject: (error: unknown) => void
}

/**
 * Checks passwords on threads of its own, which are started when they are needed. Their number and the queue are bounded, since strangers decide how
 * much there is to do.
 */
export class Hasher {
  readonly #options: HasherOptions
  readonly #waiting: Waiting[] = []
  readonly #busy = new Map<Worker, Waiting>()
  readonly #idle = new Map<Worker, NodeJS.Timeout>()
  /** Attempts that have a slot, whether or not their check has begun. */
  #slots = 0
  #last = 0

  constructor(options: HasherOptions) {
    this.#options = options
  }

  /**
   * Reserves a slot before the attempt is counted. Otherwise overload would count against users whose passwords are never checked, and lock them out.
   * @throws GatewayError GW_OVERLOADED where too many wait; the attempt has not begun then
   */
  async withSlot<T>(attempt: () => Promise<T>): Promise<T> {
    const { threads, queue } = this.#options
    if (this.#slots >= threads + queue) throw overloaded(queue)
    this.#slots += 1
    try {
      return await attempt()
    } finally {
      this.#slots -= 1
    }
  }

  /** @throws GatewayError GW_OVERLOADED where too many wait, GW_UNDECIDED where the thread broke */
  matches(password: string, hash: string): Promise<boolean> {
    if (this.#waiting.length >= this.#options.queue) throw overloaded(this.#waiting.length)
    const checked = new Promise<boolean>((resolve, reject) => {
      this.#last += 1
      this.#waiting.push({ task: { id: this.#last, password, hash }, resolve, reject })
    })
    this.#next()
    return checked
  }

  #next(): void {
    const worker = this.#free()
    const waiting = worker && this.#waiting.shift()
    if (!worker || !waiting) return
    clearTimeout(this.#idle.get(worker))
    this.#idle.delete(worker)
    this.#busy.set(worker, waiting)
    worker.postMessage(waiting.task)
  }

  #free(): Worker | undefined {
    if (this.#waiting.length === 0) return undefined
    const [idle] = this.#idle.keys()
    return idle ?? (this.#busy.size < this.#options.threads ? this.#start() : undefined)
  }

  #start(): Worker {
    // It gets no environment and no standard output: it only computes.
    const worker = new Worker(SCRIPT, { env: {}, name: 'passwords' })
    worker.on('message', ({ matches }: HashResult) => {
      const done = this.#busy.get(worker)
      this.#rest(worker)
      done?.resolve(matches)
      this.#next()
    })
    worker.on('error', (cause) => this.#broke(worker, cause))
    worker.on('exit', () => this.#broke(worker, undefined))
    // After the listeners, which keep a process alive.
    worker.unref()
    return worker
  }

  #rest(worker: Worker): void {
    this.#busy.delete(worker)
    this.#idle.set(worker, setTimeout(() => void this.#dismiss(worker), IDLE).unref())
  }

  #dismiss(worker: Worker): Promise<number> {
    this.#idle.delete(worker)
    return worker.terminate()
  }

  #broke(worker: Worker, cause: unknown): void {
    clearTimeout(this.#idle.get(worker))
    this.#idle.delete(worker)
    const lost = this.#busy.get(worker)
    this.#busy.delete(worker)
    lost?.reject(new GatewayError('GW_UNDECIDED', 'the thread that checks passwords broke', { cause }))
    this.#next()
  }
}

function overloaded(waiting: number): GatewayError {
  return new GatewayError('GW_OVERLOADED', `${waiting} passwords wait to be checked (auth.password.queue)`)
}
