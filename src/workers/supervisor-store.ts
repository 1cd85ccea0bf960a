import { GatewayError } from '../errors.ts'
import type { Store } from '../types.ts'
import type { StoreAnswer, StoreQuestion } from './messages.ts'

/** How long the supervisor may take, in milliseconds. */
const ANSWER_TIME = 1000

/**
 * The store that all workers of a gateway share; it lives in their supervisor. A token that one worker revokes is revoked for all, and attempts are
 * counted together.
 */
export class SupervisorStore implements Store {
  readonly #ask: (question: StoreQuestion) => void
  readonly #waiting = new Map<number, (answer: StoreAnswer | undefined) => void>()
  readonly #answerTime: number
  #questions = 0

  constructor(ask: (question: StoreQuestion) => void, answerTime = ANSWER_TIME) {
    this.#ask = ask
    this.#answerTime = answerTime
  }

  get(key: string): Promise<string | undefined> {
    return this.#question('get', [key]) as Promise<string | undefined>
  }

  async set(key: string, value: string, ttlMilliseconds: number): Promise<void> {
    await this.#question('set', [key, value, ttlMilliseconds])
  }

  add(key: string, value: string, ttlMilliseconds: number): Promise<boolean> {
    return this.#question('add', [key, value, ttlMilliseconds]) as Promise<boolean>
  }

  async delete(key: string): Promise<void> {
    await this.#question('delete', [key])
  }

  increment(key: string, ttlMilliseconds: number): Promise<number> {
    return this.#question('increment', [key, ttlMilliseconds]) as Promise<number>
  }

  answered(answer: StoreAnswer): void {
    this.#waiting.get(answer.id)?.(answer)
  }

  #question(operation: StoreQuestion['operation'], values: readonly (string | number)[]): Promise<unknown> {
    const id = ++this.#questions
    return new Promise((resolve, reject) => {
      const done = (answer?: StoreAnswer) => {
        clearTimeout(timer)
        this.#waiting.delete(id)
        if (answer && !('refused' in answer)) resolve(answer.value)
        else
          reject(
            new GatewayError(
              'GW_UNDECIDED',
              answer?.refused ?? 'the supervisor, which keeps the store, gives no answer',
            ),
          )
      }
      const timer = setTimeout(done, this.#answerTime)
      this.#waiting.set(id, done)
      this.#ask({ kind: 'store', id, operation, values })
    })
  }
}

/** Answers a worker's question from the supervisor's store. */
export async function answerStore(store: Store, { id, operation, values }: StoreQuestion): Promise<StoreAnswer> {
  try {
    const ask = store[operation] as (...values: (string | number)[]) => unknown
    return { kind: 'stored', id, value: (await ask.apply(store, [...values])) as StoreValue }
  } catch (error) {
    return { kind: 'stored', id, refused: error instanceof GatewayError ? error.detail : String(error) }
  }
}

type StoreValue = Extract<StoreAnswer, { value: unknown }>['value']
