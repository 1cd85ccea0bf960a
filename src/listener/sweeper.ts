import type { Connection, Verification } from '../types.ts'
import { accepts } from './admission.ts'
import { failed } from './demand.ts'
import type { Live } from './live.ts'
import { type Objection, StreamWatch } from './stream-watch.ts'

/** How often connections are looked at that outlive what let them in, in milliseconds. */
const SWEEP_INTERVAL = 500
/** How long an answer that has begun may go on when the trust policy of its connection is gone. */
const RETIREMENT_GRACE = 1000
/** How long many connections may be judged at a stretch while requests wait, in milliseconds. */
const SLICE = 10

const POLICY_GONE = 'the trust policy that judged the client is not in use any more'

/** Further grounds to end a connection whose client is still trusted; undefined for none. Asked after each reload. */
export type Welcome = (connection: Connection) => string | undefined

export interface Grounds {
  readonly welcome?: Welcome
  /** Asked again and again about what goes on for long. */
  readonly objection?: Objection
}

/** Tells of a connection that was ended since whoever it belongs to may not use it any more. */
export type Ended = (connection: Connection, reason: string) => void

/**
 * Looks after open connections, which outlive what let them in: requests are refused as they come, idle connections are closed, and what
 * goes on for longer, as an upgrade or an answer that streams, is cut.
 */
export class Sweeper {
  readonly #live: ReadonlyMap<object, Live>
  readonly #ended: Ended
  readonly #streams: StreamWatch
  #timer: NodeJS.Timeout | undefined

  constructor(live: ReadonlyMap<object, Live>, handler: { readonly ended: Ended }, objection: Objection) {
    this.#live = live
    this.#ended = (connection, reason) => handler.ended(connection, reason)
    this.#streams = new StreamWatch(live, this.#ended, objection)
  }

  start(): void {
    this.#timer = setInterval(() => this.#sweep(), SWEEP_INTERVAL).unref()
    this.#streams.start()
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#streams.stop()
  }

  /**
   * After a reload: what was judged by a policy that is gone goes too. Idle and upgraded connections end at once; of the
   * busy ones the answer may end first, within a moment, and the next request gets 421.
   */
  retire(policyIds: ReadonlySet<string>): void {
    const now = Date.now()
    for (const live of this.#live.values()) {
      if (!policyIds.has(live.connection.policy)) this.#doom(live, POLICY_GONE, now + RETIREMENT_GRACE)
      else if (live.doom?.reason === POLICY_GONE) live.doom = undefined
    }
  }

  /** After a reload: whoever is connected is judged as if he came now. Requests go on in between. */
  async judgeAgain(welcome: Welcome = () => undefined): Promise<void> {
    let pause = performance.now() + SLICE
    for (const live of [...this.#live.values()]) {
      if (performance.now() > pause) {
        await new Promise((resolve) => setImmediate(resolve))
        pause = performance.now() + SLICE
      }
      this.#judge(live, Date.now())
      const reason = live.doom ? undefined : objectionTo(live.connection, welcome)
      if (reason !== undefined) this.#doom(live, reason)
    }
  }

  #sweep(): void {
    const now = Date.now()
    for (const live of this.#live.values()) {
      if (now >= live.judgedUntil) this.#judge(live, now)
      if (live.doom) this.#end(live, live.doom, now)
    }
  }

  #judge(live: Live, now: number): void {
    let verification: Verification
    try {
      const judgement = live.policy.judge(live.shown, now)
      live.judgedUntil = judgement.until
      verification = judgement.verification
    } catch (error) {
      // What cannot be judged is not let in, nor kept.
      verification = failed('UNSPECIFIED', { hint: (error as Error).message })
    }
    if (textOf(verification) === textOf(live.connection.verification)) return
    live.rejudged(verification)
    if (verification.result !== 'FAILED' || accepts(live.policy.verify, verification)) return
    this.#doom(live, `client certificate verify error: ${verification.reason}`)
  }

  #doom(live: Live, reason: string, from = 0): void {
    live.doom ??= { reason, from }
    this.#end(live, live.doom, Date.now())
  }

  #end(live: Live, { reason, from }: { reason: string; from: number }, now: number): void {
    if (live.ended) return
    const isIdle = !live.busy && !live.upgraded
    if (!isIdle && !live.upgraded && !(live.streams && now >= from)) return
    this.#ended(live.connection, reason)
    if (isIdle) live.close()
    else live.socket.destroy()
  }
}

function textOf(verification: Verification): string {
  return verification.result === 'FAILED' ? verification.code : verification.result
}

/** What cannot be told is no ground to stay. */
function objectionTo(connection: Connection, welcome: Welcome): string | undefined {
  try {
    return welcome(connection)
  } catch (error) {
    return `nobody can tell whether it may stay: ${(error as Error).message}`
  }
}
