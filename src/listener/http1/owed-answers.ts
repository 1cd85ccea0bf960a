/** An answer that leaves in one write. */
interface WholeAnswer {
  /** Writes it, if that has not been done. */
  flush(): void
}

/**
 * Decides when whole answers are written: at once where no other is owed, else together with others that become ready in the same or the next turn of
 * the event loop. Nothing else costs a request as much as its two writes. Where one follows the other right away, the system's code and OpenSSL's are
 * still in the processor's caches, and a client of several connections is woken once: a quarter of all CPU time of a busy gateway
 * (docs/performance-log.md).
 */
export class OwedAnswers {
  #owed = 0
  #ready: WholeAnswer[] = []
  /** Whether the end of a turn is waited for. */
  #waits = false

  /** A request has been received. */
  owe(): void {
    this.#owed += 1
  }

  /** Its answer has begun to leave or takes long, or its client has left. */
  settle(): void {
    this.#owed -= 1
  }

  /** Has an answer written before the next turn but one begins. */
  ready(answer: WholeAnswer): void {
    const count = this.#ready.push(answer)
    if (count >= this.#owed) this.#flush()
    else if (!this.#waits) {
      this.#waits = true
      setImmediate(this.#turnEnded)
    }
  }

  /** Where most answers are still to come, a turn of its own would be spent on the few that are there. */
  readonly #turnEnded = (): void => {
    if (2 * this.#ready.length >= this.#owed) this.#nextTurnEnded()
    else setImmediate(this.#nextTurnEnded)
  }

  readonly #nextTurnEnded = (): void => {
    this.#waits = false
    this.#flush()
  }

  #flush(): void {
    const ready = this.#ready
    this.#ready = []
    for (const answer of ready) answer.flush()
  }
}
