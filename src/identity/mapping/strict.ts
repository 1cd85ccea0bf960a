/** `mapping: strict`: typed, exact rules, independent of the order of RDNs, which name the issuer where there are several. */
import type { CertificateFacts } from '../../tls-cert-utils/certificate.ts'
import type { Connection, Mapping, Trial, User, Users } from '../../types.ts'
import type { FiledRules } from './filed-rules.ts'
import { isIssuedBy, topmost } from './issuers.ts'
import { type Finding, type MapperSettings, mapped, type RuleMapper, type RuleSettings, userOf } from './rule.ts'
import { compileRule, keysIn, nameOf, type Rule, titleOf } from './strict-rule.ts'
import { hasHiddenName, keysOf } from './typed-rule.ts'

/** The verified issuers of the certificate; the server need not trust each of them itself. */
type Chain = Connection['chain']

type Judgement =
  | { readonly user: User; readonly reason: string }
  | { readonly reason: string; readonly user?: undefined }

const UNNAMED: Judgement = { reason: 'the certificate has no such name' }
const HIDDEN: Judgement = {
  reason: 'it is the CN, which does not count beside alternative names, as in Kong; with cn: before it, it does',
}

function unnamed(certificate: CertificateFacts, wanted: readonly string[]): Judgement {
  return hasHiddenName(certificate, wanted) ? HIDDEN : UNNAMED
}

export class StrictMapper implements RuleMapper {
  readonly name = 'local'
  readonly #index: RuleIndex
  readonly #users: Users
  readonly #trusted: readonly CertificateFacts[]
  readonly #files: FiledRules[] = []

  constructor({ rules, users, trusted }: MapperSettings) {
    this.#users = users
    this.#trusted = trusted
    this.#index = new RuleIndex(topmost(trusted).map(({ subject }) => subject))
    for (const rule of rules) this.#index.add(rule)
  }

  get findings(): readonly Finding[] {
    return this.#index.findings
  }

  attach(filed: FiledRules): void {
    const { rules, types, findings } = this.#index
    this.#files.push(filed)
    for (const kind of filed.kinds) types.add(kind)
    for (const rule of rules) findings.push(...takenBefore(rule, filed))
  }

  map(certificate: CertificateFacts, { chain }: Connection): Mapping {
    const { rules, types } = this.#index
    const keys = keysOf(certificate, types)
    for (const [position, key] of this.#index.candidates(keys)) {
      const found = this.#attempt(rules[position] as RuleSettings, key, certificate, chain)
      if (found) return found
    }
    for (const filed of this.#files) {
      for (const [rule, key] of filed.candidates(keys)) {
        const found = this.#attempt(rule, key, certificate, chain)
        if (found) return found
      }
    }
    const count = this.#files.reduce((sum, { size }) => sum + size, rules.length)
    return { status: 'unmapped', reason: `none of ${count} rules names the certificate` }
  }

  *trials(certificate: CertificateFacts, { chain }: Connection): Generator<Trial> {
    const keys = keysOf(certificate, this.#index.types)
    for (const settings of this.#everyRule()) {
      const wanted = keysIn(settings)
      const key = wanted?.find((each) => keys.includes(each))
      const { user, reason } =
        wanted && !key ? unnamed(certificate, wanted) : this.#judge(settings, key, certificate, chain)
      yield { at: settings.at, rule: titleOf(settings), matched: user !== undefined, reason }
    }
  }

  *#everyRule(): Generator<RuleSettings> {
    yield* this.#index.rules
    for (const filed of this.#files) yield* filed.all()
  }

  #attempt(
    rule: RuleSettings,
    key: string | undefined,
    certificate: CertificateFacts,
    chain: Chain,
  ): Mapping | undefined {
    const { user, reason } = this.#judge(rule, key, certificate, chain)
    return user && mapped(user, rule, reason, this.#users)
  }

  #judge(settings: RuleSettings, key: string | undefined, certificate: CertificateFacts, chain: Chain): Judgement {
    const { issuers, groupsFrom } = settings
    // Two authorities may use the same serial number, even below one root.
    const longest = key?.startsWith('serial:') ? 1 : undefined
    if (issuers && !isIssuedBy(certificate, issuers, [...this.#trusted, ...chain], longest))
      return { reason: 'another authority issued the certificate' }
    const name = nameOf(settings)
    const named = typeof name === 'string' ? { name } : name(certificate)
    if ('reason' in named) return named
    const user = userOf(named.name, settings, this.#users, groupsFrom && certificate)
    return { user, reason: titleOf(settings) }
  }
}

/** Reports rules of the file that can never match, because a rule of the configuration takes their certificates first. */
function takenBefore(rule: RuleSettings, filed: FiledRules): Finding[] {
  if (typeof rule.user !== 'string') return []
  const keys = keysIn(rule) ?? []
  const late = new Map(filed.candidates(keys).map(([each]) => [each.at, each]))
  return [...late.values()]
    .filter((each) => isSameSet(each.issuers, rule.issuers) && keysIn(each)?.every((key) => keys.includes(key)))
    .map(({ at }) => neverReached(at, rule.at))
}

export function neverReached(at: string, earlier: string): Finding {
  return { at, message: `can never match: ${earlier} names the same certificates`, isFatal: false }
}

/** Finds rules by a certificate's keys, and reports what is wrong with the rules. */
class RuleIndex {
  readonly findings: Finding[] = []
  /** The rules that can be used. */
  readonly rules: RuleSettings[] = []
  /** The types of keys that they have. */
  readonly types = new Set<string>()
  /** Positions in `rules`; a list only where several rules have the key. */
  readonly #byKey = new Map<string, number | number[]>()
  readonly #everywhere: number[] = []
  readonly #tops: readonly string[]

  constructor(tops: readonly string[]) {
    this.#tops = tops
  }

  add(settings: RuleSettings): void {
    const rule = compileRule(settings, this.#tops, this.findings)
    if (!rule) return
    this.#reportDouble(rule)
    this.#add(rule)
  }

  /** The positions of the rules with one of these keys, in the order of the file, each with its key. */
  candidates(keys: readonly string[]): [position: number, key: string | undefined][] {
    if (this.rules.length === 0) return []
    const found = new Map<number, string | undefined>(this.#everywhere.map((position) => [position, undefined]))
    for (const key of keys) for (const position of this.#positions(key)) found.set(position, key)
    return [...found].sort(([a], [b]) => a - b)
  }

  #positions(key: string): readonly number[] {
    const found = this.#byKey.get(key)
    return found === undefined ? [] : typeof found === 'number' ? [found] : found
  }

  #add({ settings, keys }: Rule): void {
    const position = this.rules.push(settings) - 1
    if (!keys) this.#everywhere.push(position)
    for (const key of keys ?? []) {
      const others = this.#positions(key)
      this.#byKey.set(key, others.length === 0 ? position : [...others, position])
      this.types.add(key.slice(0, key.indexOf(':')))
    }
  }

  /** A certificate that matches an earlier rule never reaches a later one, unless the issuers differ. */
  #reportDouble({ settings: { at, issuers }, keys, name }: Rule): void {
    if (typeof name !== 'string' || !keys?.length) return
    const earlier = keys.map((key) =>
      this.#positions(key)
        .map((position) => this.rules[position] as RuleSettings)
        .find((other) => typeof other.user === 'string' && isSameSet(other.issuers, issuers)),
    )
    if (earlier.includes(undefined)) return
    this.findings.push(neverReached(at, earlier[0]?.at ?? ''))
  }
}

function isSameSet(one: RuleSettings['issuers'], other: RuleSettings['issuers']): boolean {
  const digest = (issuers: RuleSettings['issuers']) => issuers?.map(({ fingerprintSha256 }) => fingerprintSha256).join()
  return digest(one) === digest(other)
}
