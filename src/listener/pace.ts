import { computed } from './computing-time.ts'

/** In a turn of the event loop. Each costs about half a millisecond of computing. */
const MOST_AT_ONCE = 4
/** For so many microseconds of computing in the turn before, one more than one is begun: a loop that is busy with requests has fewer turns, and must let somebody in. */
const ONE_MORE_AFTER = 4_000
/** How many may be unanswered at least: so many answers may come in together, and are then computed at one stretch, about a millisecond each. */
const FEWEST_UNANSWERED = 32
/** How long a client is waited for, in milliseconds. */
const PATIENCE = 100
/** How many more may be unanswered for each client that did not answer in time. */
const MORE_FOR_EACH_SLOW = 2
/** From so many microseconds of computing on a turn of the event loop is too long: then half as many may be unanswered. */
const LONG_TURN = 20_000
/** More than a gateway can begin while it is patient. */
const MOST_UNANSWERED = 1024

/** A handshake that has begun and waits for its client. */
export interface Begun {
  readonly at: number
}

/**
 * Begins no more handshakes in a turn of the event loop than a request can wait for, nor more altogether than whose answers a request can wait for. The system
 * reports everything that has come in at once: when a thousand clients connect together, as after an outage, all of their ClientHellos would be answered
 * before the next request is looked at, and then all of their certificates would be checked.
 *
 * How many that are is found as TCP finds how much can be under way in a network: one more for each turn in which somebody answered while others waited, half after a long one.
 *
 * Nobody can hold the others up by not answering: who is slow is waited for no longer, and makes room for more than himself, so that a crowd of the slow, be
 * it far away or hostile, is begun as fast as the processor can.
 */
export class Pace {
  readonly #waiting: ((begun: Begun) => void)[] = []
  /** In the order of their beginning. */
  readonly #unanswered = new Set<Begun>()
  #mostUnanswered = FEWEST_UNANSWERED
  #begunInTurn = 0
  #mostInTurn = MOST_AT_ONCE
  /** Whether somebody answered in this turn who had taken the last room while others waited. */
  #wasFull = false
  #counts = false
  /** When the system was last asked what had come in: what came later is not known yet. */
  #askedAt = 0
  /** The computing time when this turn began, or the first thing in it that counts; in microseconds. */
  #computedBefore = 0
  #timer: NodeJS.Timeout | undefined

  /** Calls back now, or in one of the next turns, in the order of the calls. `over` wants what it is called with. */
  begin(handshake: (begun: Begun) => void): void {
    this.#waiting.push(handshake)
    if (this.#waiting.length === 1) this.#goOn()
  }

  /** Once the client's answer was computed, or there will be none. */
  over(begun: Begun): void {
    if (!this.#unanswered.delete(begun)) return
    const othersWait = this.#waiting.length > 0
    if (othersWait && this.#unanswered.size + 1 >= this.#mostUnanswered) this.#wasFull = true
    if (!this.#wasFull) this.#mostUnanswered = Math.max(FEWEST_UNANSWERED, this.#mostUnanswered - 1)
    if (othersWait) this.#count()
  }

  #goOn(): void {
    while (this.#begunInTurn < this.#mostInTurn && this.#unanswered.size < this.#mostUnanswered) {
      const handshake = this.#waiting.shift()
      if (!handshake) return
      this.#start(handshake)
    }
    if (this.#waiting.length > 0 && !this.#counts) this.#goOnLater()
  }

  #start(handshake: (begun: Begun) => void): void {
    const begun = { at: performance.now() }
    this.#unanswered.add(begun)
    this.#begunInTurn++
    this.#count()
    handshake(begun)
  }

  #count(): void {
    if (this.#counts) return
    this.#counts = true
    this.#computedBefore = computed()
    setImmediate(this.#nextTurn)
  }

  readonly #nextTurn = (): void => {
    this.#counts = false
    this.#begunInTurn = 0
    if (this.#waiting.length === 0) {
      this.#askedAt = 0
      this.#mostInTurn = MOST_AT_ONCE
      return
    }
    this.#learn(computed() - this.#computedBefore)
    this.#askedAt = performance.now()
    this.#goOn()
  }

  /** From the turn that ends. */
  #learn(computing: number): void {
    this.#mostInTurn = Math.min(MOST_AT_ONCE, 1 + Math.floor(computing / ONE_MORE_AFTER))
    if (computing > LONG_TURN) this.#mostUnanswered = Math.max(FEWEST_UNANSWERED, this.#mostUnanswered >> 1)
    else if (this.#wasFull) this.#mostUnanswered = Math.min(MOST_UNANSWERED, this.#mostUnanswered + 1)
    this.#wasFull = false
    for (const begun of this.#unanswered) {
      if (this.#askedAt - begun.at < PATIENCE) break
      this.#unanswered.delete(begun)
      this.#mostUnanswered = Math.min(MOST_UNANSWERED, this.#mostUnanswered + MORE_FOR_EACH_SLOW)
    }
  }

  /** When the first one has been waited for long enough. */
  #goOnLater(): void {
    const [first] = this.#unanswered
    if (!first || this.#timer) return
    this.#timer = setTimeout(this.#patienceIsOver, Math.max(1, first.at + PATIENCE - performance.now()))
  }

  readonly #patienceIsOver = (): void => {
    this.#timer = undefined
    this.#askedAt = performance.now()
    this.#count()
  }
}
