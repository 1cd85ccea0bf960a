import type { Duplex } from 'node:stream'
import type { HttpRequest } from '../http-messages.ts'
import type { Connection, Verification } from '../types.ts'
import { accepts } from './admission.ts'
import { failed } from './demand.ts'
import type { Live } from './live.ts'
import { type Objection, StreamWatch } from './stream-watch.ts'
import type { TrustPolicy } from './trust-policy.ts'

/** How often connections are looked at that outlive what let them in, in milliseconds. */
const SWEEP_INTERVAL = 500
/**
 * How long an answer that has begun, or a request that is still being sent, may go on when the trust policy of its connection is gone. The sweep that follows
 * ends it, within a second of the reload.
 */
const RETIREMENT_GRACE = 300
/** How long many connections may be judged at a stretch, in milliseconds. A request takes some turns of the event loop, and so waits for as many slices. */
const SLICE = 2

const POLICY_GONE = 'the trust policy that judged the client is not in use any more'

/** How many answers may be waited for at a time: whoever gives them has requests to answer too. */
const MOST_QUESTIONS = 32
/** How long after nobody could tell it is asked again, in milliseconds. */
const ASK_AGAIN = 2000

type Ground = string | undefined

/**
 * Further grounds to end a connection whose client is still trusted; undefined for none. Asked after each reload, and where it rejects, again and again:
 * nobody is turned out, nor forgotten, because nobody can tell for now.
 */
export type Welcome = (
  connection: Connection,
  carried: { readonly socket: object; readonly request: HttpRequest | undefined },
) => Ground | Promise<Ground>

/** By the server names of clients, undefined for those that send none. */
export interface PoliciesByName {
  /** Undefined where nobody may come under that name. */
  readonly policyFor: (serverName: string | undefined) => TrustPolicy | undefined
  /** Of the server that a request is for, by its Host. */
  readonly policyAsked: (request: HttpRequest) => TrustPolicy | undefined
  /** That policy where it may go on with connections that another one let in, of which all that it must know is in the handshake. */
  readonly successorFor: (serverName: string | undefined) => TrustPolicy | undefined
}

export interface Grounds {
  readonly welcome?: Welcome
  /** Asked again and again about what goes on for long. */
  readonly objection?: Objection
}

/** Tells of a connection that was ended since whoever it belongs to may not use it any more. */
export type Ended = (connection: Connection, reason: string) => void

/**
 * Looks after open connections, which outlive what let them in: requests are refused as they come, idle connections are closed, and what
 * goes on for longer, as an upgrade, an upload or an answer that streams, is cut.
 */
export class Sweeper {
  readonly #live: ReadonlyMap<object, Live>
  readonly #ended: Ended
  readonly #streams: StreamWatch
  #timer: NodeJS.Timeout | undefined
  /** Of the latest reload. */
  #welcome: Welcome = () => undefined
  #undecided = new Set<Live>()
  #askAgainAt = 0

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
   * After a reload: what was judged by a policy that its server name does not have any more is judged by the one that it has now, or ends where only a
   * handshake could do that. Idle and upgraded connections end at once; of the busy ones the answer may end first, uploads and answers that have begun
   * within a moment, and the next request gets 421.
   */
  retire(policyIds: ReadonlySet<string>, policies: PoliciesByName): void {
    const now = Date.now()
    for (const live of this.#live.values()) {
      const isJudged = isJudgedAsNow(live, policyIds, policies) || moved(live, policyIds, policies)
      if (isJudged && isOfSamePolicy(live, policies)) {
        if (live.doom?.reason === POLICY_GONE) live.doom = undefined
      } else this.#doom(live, POLICY_GONE, now + RETIREMENT_GRACE)
    }
  }

  /** After a reload: whoever is connected is judged as if he came now. Requests go on in between. */
  async judgeAgain(welcome: Welcome = () => undefined): Promise<void> {
    this.#welcome = welcome
    this.#undecided.clear()
    const all = [...this.#live.values()]
    await inSlices(all, (live) => this.#judge(live, Date.now()))
    await this.#welcomeAll(all)
  }

  async #welcomeAll(all: readonly Live[]): Promise<void> {
    const welcome = this.#welcome
    const waiting = new Set<Promise<void>>()
    await inSlices(all, (live) => {
      // A later reload asks everybody again.
      if (live.doom || this.#welcome !== welcome) return undefined
      const objection = objectionTo(live, welcome)
      if (!(objection instanceof Promise)) {
        if (objection !== undefined) this.#doom(live, objection)
        return undefined
      }
      const told = this.#whenTold(live, objection, welcome).finally(() => waiting.delete(told))
      waiting.add(told)
      return waiting.size < MOST_QUESTIONS ? undefined : Promise.race(waiting)
    })
    await Promise.all(waiting)
  }

  async #whenTold(live: Live, objection: Promise<Ground>, welcome: Welcome): Promise<void> {
    try {
      const reason = await objection
      if (this.#welcome === welcome && reason !== undefined) this.#doom(live, reason)
    } catch {
      if (this.#welcome !== welcome || live.ended) return
      this.#undecided.add(live)
      this.#askAgainAt = Date.now() + ASK_AGAIN
    }
  }

  /** At once, whatever it carries. */
  cut(socket: Duplex, reason: string): void {
    const live = this.#live.get(socket)
    if (live) this.#ended(live.connection, reason)
    socket.destroy()
  }

  #askAgain(now: number): void {
    if (this.#undecided.size === 0 || now < this.#askAgainAt) return
    const undecided = [...this.#undecided].filter((live) => this.#live.get(live.socket) === live)
    this.#undecided.clear()
    void this.#welcomeAll(undecided)
  }

  #sweep(): void {
    const now = Date.now()
    for (const live of this.#live.values()) {
      if (now >= live.judgedUntil) this.#judge(live, now)
      if (live.doom) this.#end(live, live.doom, now)
    }
    this.#askAgain(now)
  }

  #judge(live: Live, now: number): void {
    let verification: Verification
    try {
      const shown = live.shown && live.policy.renewed(live.shown, now)
      if (shown && shown !== live.shown) live.verifiedAnew(shown)
      const judgement = live.policy.judge(shown, now)
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

/** Whether a client with the same server name that came now would be judged by the same policy. */
function isJudgedAsNow({ connection }: Live, policyIds: ReadonlySet<string>, { policyFor }: PoliciesByName): boolean {
  return policyIds.has(connection.policy) && policyFor(connection.serverName)?.id === connection.policy
}

/** Whether what goes on there was asked of a server with that policy: one connection may ask several, by their names in Host. */
function isOfSamePolicy({ request, connection }: Live, { policyAsked }: PoliciesByName): boolean {
  return request === undefined || policyAsked(request)?.id === connection.policy
}

/** Whether the policy that its server name has now judges it from here on. */
function moved(live: Live, policyIds: ReadonlySet<string>, { successorFor }: PoliciesByName): boolean {
  const successor = successorFor(live.connection.serverName)
  if (!successor || !policyIds.has(successor.id)) return false
  if (!successor.holdsFor(live.shown, live.connection, live.policy)) return false
  live.move(successor)
  return true
}

function textOf(verification: Verification): string {
  return verification.result === 'FAILED' ? verification.code : verification.result
}

/** Requests go on in between. */
async function inSlices(all: readonly Live[], step: (live: Live) => void | Promise<void>): Promise<void> {
  let pause = performance.now() + SLICE
  for (const live of all) {
    const wait = step(live)
    if (wait instanceof Promise) await wait
    if (performance.now() <= pause) continue
    await new Promise((resolve) => setImmediate(resolve))
    pause = performance.now() + SLICE
  }
}

/** What cannot be told is no ground to stay. */
function objectionTo(live: Live, welcome: Welcome): Ground | Promise<Ground> {
  try {
    return welcome(live.connection, live)
  } catch (error) {
    return `nobody can tell whether it may stay: ${(error as Error).message}`
  }
}
