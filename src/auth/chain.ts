/** The chain: the methods that let a caller in, asked in order, and what they must agree on (Keystone's `authenticate`). */

import type { AuthMethod, Caller, Identity, Outcome, User } from '../types.ts'
import { agree, identityOf, stepsOf } from './agreement.ts'
import { type Asked, byCertificate, startsWithCertificate } from './by-certificate.ts'
import { showsCredential } from './credential-places.ts'
import { isEnough, type MultiFactorRules } from './multi-factor.ts'
import { type Progress, type Receipts, readReceiptHeader } from './receipts.ts'
import { couldNotTell, refusal } from './refusal.ts'

/** All of its methods must succeed and agree. */
export type Rule = readonly AuthMethod[]

export interface ChainOptions {
  /** One of them is enough; the first that is satisfied counts. */
  readonly rules: readonly Rule[]
  /** Lets a caller pass who shows no credential. Whoever shows a wrong one is refused all the same. */
  readonly anonymous: boolean
  /** Remembers which steps were passed, for rules with several steps. */
  readonly receipts: Receipts
  /** Finds the user of the certificate that a receipt was given to. */
  readonly certificate: AuthMethod
  /** Any method that is set up: some users must pass one more than the rule demands. */
  methodNamed(name: string): AuthMethod | undefined
  /** Methods that a user must pass whatever the rule asks for. */
  readonly multiFactor: MultiFactorRules
  /** A user as Keystone writes one, with the domain. */
  describe(user: User): object
}

export interface Chain {
  /** @throws GatewayError GW_UNAUTHENTICATED, or GW_UNDECIDED where no rule is satisfied and one could not be decided */
  authenticate(caller: Caller): Identity | Promise<Identity>
  /** Whether somebody who has been let in as that, perhaps by other rules, has passed what these ask for. */
  suffices(identity: Identity): boolean
}

/** The identity on a route that does not ask who is calling. */
export const NOBODY: Identity = Object.freeze({
  user: undefined,
  methods: Object.freeze([]),
  credential: undefined,
  expiresAt: Number.POSITIVE_INFINITY,
})

/** The identity of a caller whom a route with `anonymous` lets pass without a user. */
export const ANONYMOUS: Identity = Object.freeze({
  user: undefined,
  methods: Object.freeze(['anonymous']),
  credential: undefined,
  expiresAt: Number.POSITIVE_INFINITY,
})

export function createChain(options: ChainOptions): Chain {
  const known = new WeakMap<Outcome, Identity>()
  const attempt = (caller: Caller, progress: Progress | undefined, asked?: Asked) =>
    new Attempt(options, caller, known, progress, asked).run()
  const withoutReceipt = startsWithCertificate(options) ? byCertificate(options.certificate, known, attempt) : attempt
  return {
    authenticate(caller) {
      const receipt = readReceiptHeader(caller.request.rawHeaders)
      if (receipt === undefined) return withoutReceipt(caller, undefined)
      // An invalid receipt is refused and not ignored: whoever sends one relies on it.
      const opened = options.receipts.open(receipt, caller, options.certificate)
      return opened instanceof Promise ? opened.then((progress) => attempt(caller, progress)) : attempt(caller, opened)
    },
    suffices(identity) {
      const { user, methods } = identity
      if (!user) return options.anonymous
      const steps = stepsOf(identity)
      const isSatisfied = options.rules.some((rule) => rule.every(({ name }) => steps.includes(name)))
      return isSatisfied && isEnough(options.multiFactor(user), methods)
    },
  }
}

/** The outcome of a method in this request. */
type Answer = Outcome | { readonly status: 'undecided'; readonly error: unknown }

/** One request on its way through the rules. It waits only where a method has to. */
class Attempt {
  readonly #options: ChainOptions
  readonly #caller: Caller
  readonly #known: WeakMap<Outcome, Identity>
  readonly #progress: Progress | undefined
  readonly #asked: Asked
  /**
   * Each method is asked once, however many rules name it: otherwise a code would be used up, and a wrong password would count as several attempts.
   */
  readonly #answers = new Map<string, Answered>()
  readonly #misses: Miss[] = []
  readonly #reasons: string[] = []

  constructor(
    options: ChainOptions,
    caller: Caller,
    known: WeakMap<Outcome, Identity>,
    progress: Progress | undefined,
    asked: Asked,
  ) {
    this.#asked = asked
    this.#options = options
    this.#caller = caller
    this.#known = known
    this.#progress = progress
  }

  run(first = 0): Identity | Promise<Identity> {
    const { rules } = this.#options
    for (let i = first; i < rules.length; i++) {
      const identity = this.#judge({ rule: rules[i] as Rule, at: 0, found: undefined, open: false })
      if (identity instanceof Promise) return identity.then((found) => found ?? this.run(i + 1))
      if (identity) return identity
    }
    return this.#refuse()
  }

  #judge(state: State): Judged {
    const { rule, at, found, open } = state
    const method = rule[at]
    if (!method) return open ? this.#miss(state) : this.#admitted(state)
    const answer = this.#ask(method, found)
    return answer instanceof Promise
      ? answer.then((settled) => this.#follow(state, method, settled))
      : this.#follow(state, method, answer)
  }

  #follow(state: State, method: AuthMethod, answer: Answer): Judged {
    switch (answer.status) {
      case 'accepted':
        return this.#accepted(state, method, answer)
      case 'challenged':
        // The other challenges of the rule go out with this one, as in Keystone.
        return this.#judge({ ...state, at: state.at + 1, open: true })
      case 'absent':
        // The rest of the rule is not asked: where certificate and password are both demanded, a caller without a certificate must not get to try
        // passwords.
        return this.#miss(state)
      case 'denied':
        return this.#denied(state, `${method.name}: ${answer.reason}`)
      case 'undecided':
        return this.#miss(state, true)
    }
  }

  #accepted(state: State, method: AuthMethod, outcome: Accepted): Judged {
    const { expiresAt = Number.POSITIVE_INFINITY, requires = [] } = outcome
    if (!(expiresAt > Date.now())) return this.#denied(state, `${method.name}: has expired`)
    const rule = this.#withRequired(state.rule, requires)
    if (!rule) return this.#denied(state, `${method.name}: demands ${requires.join(', ')}, which is not set up`)
    const found = rule.length === 1 ? this.#remembered(method, outcome) : agree(state.found, method.name, outcome)
    if (found instanceof Error) return this.#denied(state, found.message)
    return this.#judge({ ...state, rule, at: state.at + 1, found })
  }

  /** The same object for the same outcome, so that what is derived from it is made once. */
  #remembered(method: AuthMethod, outcome: Accepted): Identity {
    const known = this.#known.get(outcome)
    if (known) return known
    const identity = identityOf(method.name, outcome)
    this.#known.set(outcome, identity)
    return identity
  }

  /**
   * The rule together with the methods that the user needs in addition, such as NATS's password of a mapped user. Undefined where there is no such
   * method.
   */
  #withRequired(rule: Rule, names: readonly string[]): Rule | undefined {
    const missing = names.filter((name) => rule.every((method) => method.name !== name))
    if (missing.length === 0) return rule
    const added = missing.flatMap((name) => this.#options.methodNamed(name) ?? [])
    return added.length === missing.length ? [...rule, ...added] : undefined
  }

  /** Every method of the rule has succeeded; the user may still need more than the rule asks for. */
  #admitted(state: State): Judged {
    const { found } = state
    const combinations = found?.user ? this.#options.multiFactor(found.user) : []
    if (!found || isEnough(combinations, found.methods)) return this.#admittedFresh(state)
    const rules = combinations
      .map((names) => names.filter((name) => !found.methods.includes(name)))
      .flatMap((missing) => {
        const rule = this.#withRequired(state.rule, missing)
        return rule ? [rule] : []
      })
    if (rules.length > 0) return this.#anyOf(rules, state)
    return this.#denied(state, `${found.user?.name} needs methods that are not set up`)
  }

  /** Tries the longer rules; the first that is satisfied counts. */
  #anyOf(rules: readonly Rule[], state: State, first = 0): Judged {
    for (let i = first; i < rules.length; i++) {
      const judged = this.#judge({ ...state, rule: rules[i] as Rule })
      if (judged instanceof Promise) return judged.then((identity) => identity ?? this.#anyOf(rules, state, i + 1))
      if (judged) return judged
    }
    return undefined
  }

  /** A receipt alone lets nobody in: it could come from a route that asks for more than this one. */
  #admittedFresh(state: State): Judged {
    const isFresh = state.rule.some((method) => {
      const answered = this.#answers.get(keyOf(method, state.found))
      return answered?.answer.status === 'accepted' && !answered.fromReceipt
    })
    return state.found && isFresh ? state.found : this.#miss(state)
  }

  #denied(state: State, reason: string): undefined {
    this.#reasons.push(reason)
    return this.#miss(state, true)
  }

  #miss({ rule, found }: State, denied = false): undefined {
    this.#misses.push({ rule, found, denied })
    return undefined
  }

  #ask(method: AuthMethod, found: Identity | undefined): Answer | Promise<Answer> {
    if (method.needsUser && !found) return { status: 'absent' }
    const key = keyOf(method, found)
    const known = this.#answers.get(key)
    if (known) return known.answer
    const keep = (given: Answer): Answer => {
      const before = given.status === 'absent' ? this.#passedBefore(method) : undefined
      this.#answers.set(key, { method, answer: before ?? given, fromReceipt: before !== undefined })
      return before ?? given
    }
    try {
      const isAsked = this.#asked && method === this.#options.certificate
      const outcome = isAsked ? this.#asked : method.authenticate(this.#caller, undefined, found)
      return outcome instanceof Promise ? outcome.then(keep, (error) => keep(undecided(error))) : keep(outcome)
    } catch (error) {
      return keep(undecided(error))
    }
  }

  #passedBefore({ name }: AuthMethod): Accepted | undefined {
    if (!this.#progress || !stepsOf(this.#progress).includes(name)) return undefined
    const { user, methods, credential, expiresAt, attributes } = this.#progress
    return { status: 'accepted', user, methods, credential, expiresAt, attributes }
  }

  /** Whether the caller showed no credential at all, neither to the methods that were asked nor to those that were not. */
  #saysNothing(answered: readonly Answered[]): boolean {
    if (this.#progress || answered.some(({ answer }) => answer.status !== 'absent')) return false
    const asked = new Set(answered.map(({ method }) => method))
    return this.#options.rules.flat().every((method) => asked.has(method) || !showsCredential(this.#caller, method))
  }

  #refuse(): Identity {
    const answered = [...this.#answers.values()]
    for (const { method, answer } of answered) {
      if (answer.status === 'undecided') throw couldNotTell(method, answer.error)
    }
    const { anonymous, receipts, describe } = this.#options
    if (anonymous && this.#saysNothing(answered)) return ANONYMOUS
    const found = this.#misses.find((miss) => miss.found !== undefined && !miss.denied)?.found
    const receipt = found && receipts.issue(found, this.#caller.connection, this.#attested(found))
    const outcomes = answered.map(({ method, answer }) => [method, answer as Outcome] as const)
    const rules = this.#misses.map(({ rule }) => rule)
    throw refusal({ rules, outcomes, reasons: this.#reasons, found, receipt, describe })
  }

  /** What the receipt attests, where a part of this rests on it. */
  #attested(found: Identity): Progress | undefined {
    const shown = [...this.#answers].flatMap(([key, { method, fromReceipt }]) =>
      key === keyOf(method, found) && !fromReceipt ? [method.name] : [],
    )
    return stepsOf(found).every((name) => shown.includes(name)) ? undefined : this.#progress
  }
}

type Accepted = Outcome & { readonly status: 'accepted' }
type Judged = Identity | undefined | Promise<Identity | undefined>

/** How far a rule has come. */
interface State {
  readonly rule: Rule
  /** The method to ask next. */
  readonly at: number
  /** What those before it agreed on. */
  readonly found: Identity | undefined
  /** One of them asked for a further step. */
  readonly open: boolean
}

interface Answered {
  readonly method: AuthMethod
  readonly answer: Answer
  readonly fromReceipt: boolean
}

/** Why one rule did not let the caller in. */
interface Miss {
  /** The rule, with the methods that the user needs in addition. */
  readonly rule: Rule
  readonly found: Identity | undefined
  readonly denied: boolean
}

/** A method that confirms a user has one answer for each user. */
function keyOf(method: AuthMethod, found: Identity | undefined): string {
  return method.needsUser ? `${method.name}\0${found?.user?.id}` : method.name
}

function undecided(error: unknown): Answer {
  return { status: 'undecided', error }
}
