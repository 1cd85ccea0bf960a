import type { HttpRequest } from '../http-messages.ts'
import { forEachInSlices } from '../slices.ts'
import type { LiveConnection } from './live-connection.ts'
import type { Objection } from './objection.ts'

/** How many questions may wait for an answer at a time: whoever answers has requests to answer too. */
const MOST_QUESTIONS = 32
/** How soon an undecided question is asked again, in milliseconds. */
const ASK_AGAIN = 2000

/** Called for a connection that must end. @param request the one that was being served when it was asked */
type Unwelcome = (live: LiveConnection, reason: string, request: HttpRequest | undefined) => void

/**
 * Asks after a reload whether each open connection, whose client is still trusted, may stay: a few questions at a time, and again where nobody can
 * tell for now.
 */
export class Welcome {
  readonly #unwelcome: Unwelcome
  /** That of the latest reload. */
  #objection: Objection = () => undefined
  readonly #undecided = new Set<LiveConnection>()
  #askAgainAt = 0

  constructor(unwelcome: Unwelcome) {
    this.#unwelcome = unwelcome
  }

  /** From now on this one is asked; what was asked before counts no more. */
  by(objection: Objection): void {
    this.#objection = objection
    this.#undecided.clear()
  }

  /** Resolves when all that can be told for now has been. */
  async askAll(all: readonly LiveConnection[]): Promise<void> {
    const asked = this.#objection
    const waiting = new Set<Promise<void>>()
    await forEachInSlices(all, (live) => {
      // A later reload has started the questions anew.
      if ((live.doom && !live.doom.request) || this.#objection !== asked) return undefined
      const { request } = live
      const objection = objectionTo(live, asked)
      if (!(objection instanceof Promise)) {
        if (objection !== undefined) this.#unwelcome(live, objection, request)
        return undefined
      }
      const answered = this.#whenAnswered(live, objection, { asked, request }).finally(() => waiting.delete(answered))
      waiting.add(answered)
      return waiting.size < MOST_QUESTIONS ? undefined : Promise.race(waiting)
    })
    await Promise.all(waiting)
  }

  async #whenAnswered(
    live: LiveConnection,
    objection: Promise<string | undefined>,
    { asked, request }: { asked: Objection; request: HttpRequest | undefined },
  ): Promise<void> {
    try {
      const reason = await objection
      if (this.#objection === asked && reason !== undefined) this.#unwelcome(live, reason, request)
    } catch {
      if (this.#objection !== asked || live.ended) return
      this.#undecided.add(live)
      this.#askAgainAt = Date.now() + ASK_AGAIN
    }
  }

  /** @param isOpen whether that connection is still there */
  askAgain(now: number, isOpen: (live: LiveConnection) => boolean): void {
    if (this.#undecided.size === 0 || now < this.#askAgainAt) return
    const undecided = [...this.#undecided].filter(isOpen)
    this.#undecided.clear()
    void this.askAll(undecided)
  }
}

/** The reason to end a connection, if any. A check that throws is one: then it cannot be decided that the connection may stay. */
function objectionTo(live: LiveConnection, asked: Objection): ReturnType<Objection> {
  try {
    return asked(live.connection, live)
  } catch (error) {
    return `nobody can tell whether it may stay: ${(error as Error).message}`
  }
}
