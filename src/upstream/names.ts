import { type LookupAddress, type LookupOptions, lookup } from 'node:dns'
import type { LookupFunction } from 'node:net'
import { FAIL_TIMEOUT } from './failures.ts'
import type { Addresses } from './tls-identity.ts'

/** How long new connections wait for a name that was known before, in milliseconds. Then they use its last addresses. */
const PATIENCE = 500

type Asked = (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void
/** How the system looks up a name: `dns.lookup`. */
export type Resolve = (name: string, options: LookupOptions & { all: true }, done: Asked) => void
/** Called with the reason when a name cannot be looked up, so that its last addresses are used; with undefined once it can be again. */
export type NameReporter = (name: string, reason: string | undefined) => void

interface Waiting {
  /** For how many milliseconds a last answer may be used. */
  readonly staleFor: number
  readonly done: Asked
}

/**
 * The addresses of one upstream's name. All connections that need them at the same time share one look-up: the system runs only a few look-ups at a
 * time, so a name whose servers do not answer would hold up the connections to all other upstreams with each of its requests.
 */
export class UpstreamName {
  readonly #name: string
  readonly #resolve: Resolve
  readonly #report: NameReporter
  #last: { readonly addresses: LookupAddress[]; readonly at: number } | undefined
  /** The callers that wait for the look-up under way; undefined where there is none. */
  #waiting: Waiting[] | undefined
  /** Whether the look-up under way takes so long that callers use a last answer if there is one. */
  #late = false
  /** Whether {@link NameReporter} was called with a reason last. */
  #unknown = false
  #turn = 0
  /** The addresses that could not be reached, and until when each is tried last, as `performance.now()` counts. */
  readonly #resting = new Map<string, number>()

  constructor(name: string, report: NameReporter = () => {}, resolve: Resolve = lookup) {
    this.#name = name
    this.#report = report
    this.#resolve = resolve
  }

  /** For the connections of one pool. @param staleFor Kong's `dns_stale_ttl`, in milliseconds */
  addresses(staleFor: number): Addresses {
    return { lookup: this.lookup(staleFor), unreachable: (address) => this.unreachable(address) }
  }

  lookup(staleFor: number): LookupFunction {
    return (_name, { hints, all }, done) => {
      this.#ask({ ...(hints !== undefined && { hints }), all: true }, staleFor, (error, addresses) => {
        const [first] = addresses
        if (error || !first) done(error ?? notFound(this.#name), '')
        else if (all) done(null, this.#inTurn(addresses))
        else done(null, first.address, first.family)
      })
    }
  }

  /**
   * A connection went on to the next address, perhaps after Node's `autoSelectFamilyAttemptTimeout`: each one that began with this address would wait
   * for that.
   */
  unreachable(address: string): void {
    this.#resting.set(address, performance.now() + FAIL_TIMEOUT)
  }

  #ask(options: LookupOptions & { all: true }, staleFor: number, done: Asked): void {
    const waiting = { staleFor, done }
    const last = this.#late ? this.#lastFor(waiting) : undefined
    // Node expects the answer to come asynchronously.
    if (last) process.nextTick(done, null, last)
    else if (this.#waiting) this.#waiting.push(waiting)
    else this.#begin(waiting, options)
  }

  #begin(first: Waiting, options: LookupOptions & { all: true }): void {
    this.#waiting = [first]
    const timer = setTimeout(() => this.#isLate(), PATIENCE).unref()
    this.#resolve(this.#name, options, (error, addresses) => {
      clearTimeout(timer)
      const waiting = this.#waiting ?? []
      this.#waiting = undefined
      this.#late = false
      this.#learn(error, addresses)
      for (const one of waiting) {
        const last = error && this.#lastFor(one)
        if (last) one.done(null, last)
        else one.done(error, addresses ?? [])
      }
    })
  }

  #isLate(): void {
    this.#late = true
    const waiting = this.#waiting ?? []
    this.#waiting = waiting.filter((one) => {
      const last = this.#lastFor(one)
      if (last) one.done(null, last)
      return !last
    })
    if (this.#waiting.length < waiting.length) this.#note(`no answer within ${PATIENCE} ms`)
  }

  #learn(error: NodeJS.ErrnoException | null, addresses: LookupAddress[]): void {
    if (!error) {
      this.#last = { addresses, at: performance.now() }
      this.#forgetResting(addresses)
      this.#note(undefined)
    } else if (error.code === 'ENOTFOUND') {
      // This is an answer too: the last addresses may belong to somebody else now.
      this.#last = undefined
    } else if (this.#last) this.#note(error.message)
  }

  /** Keeps those that rest still and may be tried. */
  #forgetResting(addresses: readonly LookupAddress[]): void {
    const now = performance.now()
    for (const [resting, until] of this.#resting)
      if (until <= now || !addresses.some(({ address }) => address === resting)) this.#resting.delete(resting)
  }

  #lastFor({ staleFor }: Waiting): LookupAddress[] | undefined {
    return this.#last && performance.now() - this.#last.at < staleFor ? this.#last.addresses : undefined
  }

  #note(reason: string | undefined): void {
    const unknown = reason !== undefined
    if (unknown === this.#unknown) return
    this.#unknown = unknown
    this.#report(this.#name, reason)
  }

  /**
   * Each connection begins with the next address, as in nginx and Kong, but of the family that the system prefers (RFC 6724). Those that could not be
   * reached come last.
   */
  #inTurn(addresses: LookupAddress[]): LookupAddress[] {
    if (addresses.length === 1) return addresses
    const turn = this.#turn++
    const inTurn = [...Map.groupBy(addresses, ({ family }) => family).values()].flatMap((family) => {
      const first = turn % family.length
      return [...family.slice(first), ...family.slice(0, first)]
    })
    if (this.#resting.size === 0) return inTurn
    const [reached, resting] = [false, true].map((rests) =>
      inTurn.filter(({ address }) => this.#resting.has(address) === rests),
    )
    return [...(reached ?? []), ...(resting ?? [])]
  }
}

function notFound(name: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${name} has no addresses`), { code: 'ENOTFOUND' })
}
