import { computed } from './computing-time.ts'

/** How many handshakes begin in one turn of the event loop; each costs about half a millisecond of computing. */
const MOST_AT_ONCE = 4
/**
 * One more may begin for each of so many microseconds of computing in the turn before: a loop that is busy with requests has fewer turns, and must
 * still admit clients.
 */
const ONE_MORE_AFTER = 4_000
/**
 * The least number of handshakes that may be unanswered: this many answers may come together, and are then computed without a pause, about a
 * millisecond each.
 */
const FEWEST_UNANSWERED = 12
/** How long a client is waited for, in milliseconds. */
const PATIENCE = 100
/** How many more may be unanswered for each client that was late. */
const MORE_FOR_EACH_SLOW = 2
/** A turn of the event loop with more microseconds of computing is too long: then half as many may be unanswered. */
const LONG_TURN = 10_000
/** Where fewer answered it was something else that took so long, such as requests, and to wait for fewer clients would not help. */
const MANY_ANSWERS = 6
/** More than a gateway can begin within its patience. */
const MOST_UNANSWERED = 1024

/** A handshake that waits for its client's answer. */
export interface Begun {
  readonly at: number
}

/**
 * Limits how many handshakes begin in one turn of the event loop, and how many wait for their clients, so that requests need not wait long. The
 * system reports everything that has arrived at once. When a thousand clients connect together, as after an outage, all their ClientHellos would be
 * answered before the next request is read, and then all their certificates would be checked.
 *
 * The limit is found as TCP finds how much may be in flight: it grows by one for each turn in which a client answered while others waited, and is
 * halved after a turn that was too long because many answered in it.
 *
 * Nobody can hold the others up by not answering: a slow client is no longer waited for, and makes room for more than one other. So a crowd of slow
 * clients, be they distant or hostile, is served as fast as the processor allows.
 */
export class Pace {
  readonly #waiting: ((begun: Begun) => void)[] = []
  /** In the order in which they began. */
  readonly #unanswered = new Set<Begun>()
  #mostUnanswered = FEWEST_UNANSWERED
  #begunInTurn = 0
  #mostInTurn = MOST_AT_ONCE
  /** Whether a client answered in this turn that had taken the last room while others waited. */
  #wasFull = false
  /** How many clients answered in this turn that were still waited for. */
  #answers = 0
  #counts = false
  /** When the system last reported what had arrived; later arrivals are not known yet. */
  #askedAt = 0
  /** The computing time at the start of this turn, or of the first relevant work in it; in microseconds. */
  #computedBefore = 0
  #timer: NodeJS.Timeout | undefined

  /** Calls back now, or in one of the next turns, in order. Pass what it is called with to `over`. */
  begin(handshake: (begun: Begun) => void): void {
    this.#waiting.push(handshake)
    if (this.#waiting.length === 1) this.#goOn()
  }

  /** Call it once the client's answer was processed, or if there will be none. */
  over(begun: Begun): void {
    if (!this.#unanswered.delete(begun)) return
    this.#answers++
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

  /** Adapts the limit to the turn that ends. */
  #learn(computing: number): void {
    this.#mostInTurn = Math.min(MOST_AT_ONCE, 1 + Math.floor(computing / ONE_MORE_AFTER))
    if (computing > LONG_TURN && this.#answers >= MANY_ANSWERS)
      this.#mostUnanswered = Math.max(FEWEST_UNANSWERED, this.#mostUnanswered >> 1)
    else if (this.#wasFull) this.#mostUnanswered = Math.min(MOST_UNANSWERED, this.#mostUnanswered + 1)
    this.#wasFull = false
    this.#answers = 0
    for (const begun of this.#unanswered) {
      if (this.#askedAt - begun.at < PATIENCE) break
      this.#unanswered.delete(begun)
      this.#mostUnanswered = Math.min(MOST_UNANSWERED, this.#mostUnanswered + MORE_FOR_EACH_SLOW)
    }
  }

  /** Goes on when the first one has been waited for long enough. */
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
