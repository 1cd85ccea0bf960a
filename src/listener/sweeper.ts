import type { Duplex } from 'node:stream'
import type { HttpRequest } from '../http-messages.ts'
import { forEachInSlices } from '../slices.ts'
import { cutOff } from '../sockets/cut-off.ts'
import type { Verification } from '../types.ts'
import { accepts } from './admission.ts'
import { failed } from './demand.ts'
import type { Doom, LiveConnection, Look } from './live-connection.ts'
import type { Ended, Objection } from './objection.ts'
import { StreamWatch } from './stream-watch.ts'
import type { TrustPolicy } from './trust-policy.ts'
import { Welcome } from './welcome.ts'

/** How often to check connections that have outlived what let them in, in milliseconds. */
const SWEEP_INTERVAL = 500
/**
 * How long an answer that has begun, or a request that is still being sent, may go on after the connection's trust policy is gone, in milliseconds.
 * The next sweep ends it, within a second of the reload.
 */
const RETIREMENT_GRACE = 300
const POLICY_GONE = 'the trust policy that judged the client is not in use any more'

/** Policies by the clients' server names; undefined stands for clients without one. */
export interface PoliciesByName {
  /** Undefined where handshakes with that name are rejected. */
  readonly policyFor: (serverName: string | undefined) => TrustPolicy | undefined
  /** The policy of the server that a request's Host names. */
  readonly policyAsked: (request: HttpRequest) => TrustPolicy | undefined
  /**
   * The policy for a server name, where it may take over connections that another policy admitted: everything that it needs is known from the
   * handshake.
   */
  readonly successorFor: (serverName: string | undefined) => TrustPolicy | undefined
}

export interface PoliciesInForce extends PoliciesByName {
  readonly policyIds: ReadonlySet<string>
}

export interface Grounds {
  /**
   * Further reasons to end a connection whose client is still trusted. Called after each reload, and again and again where it rejects: a connection is
   * neither ended nor forgotten because something cannot be decided for now.
   */
  readonly welcome?: Objection
  /** Called again and again for what goes on for long. */
  readonly objection?: Objection
}

interface Sentence {
  /** The request that waits for it. */
  readonly beginning?: HttpRequest | undefined
  /** The request that it is about, where it is about one. */
  readonly request?: HttpRequest | undefined
  /** When an answer that has begun is cut off. */
  readonly from?: number
}

/**
 * Ends open connections that have outlived what let them in. New requests on them are refused, idle connections are closed, and what goes on for
 * longer, such as an upgrade, an upload or a streaming answer, is cut off.
 */
export class Sweeper {
  readonly #live: ReadonlyMap<object, LiveConnection>
  readonly #ended: Ended
  readonly #streams: StreamWatch
  readonly #welcome: Welcome
  #timer: NodeJS.Timeout | undefined
  /** Undefined before the first reload. */
  #inForce: PoliciesInForce | undefined

  constructor(live: ReadonlyMap<object, LiveConnection>, handler: { readonly ended: Ended }, objection: Objection) {
    this.#live = live
    this.#ended = (connection, reason) => handler.ended(connection, reason)
    this.#streams = new StreamWatch(live, this.#ended, objection)
    this.#welcome = new Welcome((live, reason, request) => this.#doom(live, reason, { request }))
  }

  start(): void {
    this.#timer = setInterval(() => this.#sweep(), SWEEP_INTERVAL).unref()
    this.#streams.start()
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#streams.stop()
  }

  /** After a reload: judges every connected client as if it came now. Requests go on in between. */
  async judgeAgain(inForce: PoliciesInForce, welcome: Objection = () => undefined): Promise<void> {
    this.#welcome.by(welcome)
    this.#inForce = inForce
    const all = [...this.#live.values()]
    await this.#lookAt(all, this.#judgingBy(inForce))
    await this.#welcome.askAll(all)
  }

  /** A connection whose handshake began before a reload is judged as those that were open by then. */
  opened(live: LiveConnection): void {
    const inForce = this.#inForce
    if (inForce && !isJudgedAsNow(live, inForce)) void this.#lookAt([live], this.#judgingBy(inForce))
  }

  #judgingBy(inForce: PoliciesInForce): Look {
    const graceUntil = Date.now() + RETIREMENT_GRACE
    return (live, beginning) => {
      this.#retire(live, beginning, inForce, graceUntil)
      this.#judge(live, Date.now(), beginning)
    }
  }

  /** Takes the connections in turn, with pauses for requests. One that has a request before its turn is looked at first; a later look replaces this one. */
  async #lookAt(all: readonly LiveConnection[], step: Look): Promise<void> {
    const look: Look = (live, beginning) => {
      live.look = undefined
      try {
        step(live, beginning)
      } catch (error) {
        // What cannot be decided is no reason to keep the connection.
        live.rejudged(failed('UNSPECIFIED', { hint: (error as Error).message }))
        this.#doom(live, `nobody can tell whether it may stay: ${(error as Error).message}`, { beginning })
      }
    }
    for (const live of all) live.look = look
    await forEachInSlices(all, (live) => {
      if (live.look === look) look(live)
    })
  }

  /**
   * A connection whose server name has another policy now is judged by the new one, or ends where only a handshake could do that.
   * Idle and upgraded connections end at once. Busy ones may first finish their answer; uploads, and answers that have begun, get a moment, and the
   * next request gets 421.
   */
  #retire(
    live: LiveConnection,
    beginning: HttpRequest | undefined,
    inForce: PoliciesInForce,
    graceUntil: number,
  ): void {
    const isJudged = isJudgedAsNow(live, inForce) || moved(live, inForce)
    if (isJudged && isOfSamePolicy(live, beginning, inForce)) {
      if (live.doom?.reason === POLICY_GONE) live.doom = undefined
    } else this.#doom(live, POLICY_GONE, { beginning, from: graceUntil })
  }

  /** Cuts the connection at once, whatever it carries. */
  cut(socket: Duplex, reason: string): void {
    const live = this.#live.get(socket)
    if (live) this.#ended(live.connection, reason)
    cutOff(socket, reason)
  }

  #sweep(): void {
    const now = Date.now()
    const due: LiveConnection[] = []
    for (const live of this.#live.values()) {
      if (now >= live.judgedUntil && !live.look) due.push(live)
      if (live.doom) this.#end(live, live.doom, now)
    }
    // These may be thousands, when a list that all of them were checked against runs out.
    if (due.length > 0) void this.#lookAt(due, (live, beginning) => this.#judge(live, Date.now(), beginning))
    this.#welcome.askAgain(now, (live) => this.#live.get(live.socket) === live)
  }

  #judge(live: LiveConnection, now: number, beginning: HttpRequest | undefined): void {
    let verification: Verification
    try {
      const shown = live.shown && live.policy.renewed(live.shown, now)
      if (shown && shown !== live.shown) live.verifiedAnew(shown)
      const judgement = live.policy.judge(shown, now)
      live.judgedUntil = judgement.until
      verification = judgement.verification
    } catch (error) {
      // What cannot be judged is neither admitted nor kept.
      verification = failed('UNSPECIFIED', { hint: (error as Error).message })
    }
    if (textOf(verification) === textOf(live.connection.verification)) return
    live.rejudged(verification)
    if (verification.result !== 'FAILED' || accepts(live.policy.verify, verification)) return
    this.#doom(live, `client certificate verify error: ${verification.reason}`, { beginning })
  }

  #doom(live: LiveConnection, reason: string, { beginning, request, from = 0 }: Sentence = {}): void {
    // What ends the connection outweighs what ends a request on it, which may be over by now.
    if (!live.doom || live.doom.request) live.doom = { reason, request, from }
    // A request that is beginning is refused in an answer of its own. The next sweep ends what is left.
    if (!beginning) this.#end(live, live.doom, Date.now())
  }

  #end(live: LiveConnection, { reason, request, from }: Doom, now: number): void {
    if (live.ended) return
    // The next one was let in by what is in use now. On a load balancer's connection it is somebody else's.
    if (request && live.request && live.request !== request) {
      live.doom = undefined
      return
    }
    const isIdle = !live.busy && !live.upgraded
    if (!isIdle && !live.upgraded && !(live.streams && now >= from)) return
    this.#ended(live.connection, reason)
    if (isIdle) live.close()
    else cutOff(live.socket, reason)
  }
}

/** Whether a new client with the same server name would be judged by the same policy. */
function isJudgedAsNow({ connection }: LiveConnection, { policyIds, policyFor }: PoliciesInForce): boolean {
  return policyIds.has(connection.policy) && policyFor(connection.serverName)?.id === connection.policy
}

/**
 * Whether its current request was for a server with that policy: one connection may serve several, named by Host. A request that is only beginning is
 * refused on its own where it was not.
 */
function isOfSamePolicy(
  { request, connection }: LiveConnection,
  beginning: HttpRequest | undefined,
  { policyAsked }: PoliciesInForce,
): boolean {
  return request === undefined || request === beginning || policyAsked(request)?.id === connection.policy
}

/** Moves the connection to the policy that its server name has now; false where that is not possible. */
function moved(live: LiveConnection, { policyIds, successorFor }: PoliciesInForce): boolean {
  const successor = successorFor(live.connection.serverName)
  if (!successor || !policyIds.has(successor.id)) return false
  const shown = live.shown && successor.verifiedHere(live.shown)
  if (!successor.holdsFor(shown, live.connection, live.policy)) return false
  if (shown && shown !== live.shown) live.verifiedAnew(shown)
  live.move(successor)
  return true
}

function textOf(verification: Verification): string {
  return verification.result === 'FAILED' ? verification.code : verification.result
}
