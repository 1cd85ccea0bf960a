/** `mapping: strict`: rules with types, exact, independent of the order of RDNs, the issuing authority named where there are several. */
import type { CertificateFacts } from '../../tls-cert-utils/certificate.ts'
import type { Connection, Mapping, Trial, User, Users } from '../../types.ts'
import { isIssuedBy, topmost } from './issuers.ts'
import { type Finding, mapped, type RuleMapper, type RuleSettings, userOf } from './rule.ts'
import { isRuleType, keysOf, keysOfSubjectName, RuleError, readTypedRule } from './typed-rule.ts'
import { createUserSource, type UserSource } from './user-source.ts'

export interface MapperSettings {
  readonly rules: readonly RuleSettings[]
  readonly users: Users
  /** The authorities that the server trusts. */
  readonly trusted: readonly CertificateFacts[]
}

/** A rule as it is read. There may be a million, so only what finds it is kept; the rest is read again where it matched. */
interface Rule {
  readonly settings: RuleSettings
  /** One of them must be a key of the certificate; undefined where any certificate will do. */
  readonly keys: readonly string[] | undefined
  /** The user's name, or how to find it in the certificate. */
  readonly name: string | UserSource
}

/** The verified issuers of the certificate, which may be none of those that the server trusts itself. */
type Chain = Connection['chain']

type Judgement =
  | { readonly user: User; readonly reason: string }
  | { readonly reason: string; readonly user?: undefined }

const UNNAMED: Judgement = { reason: 'the certificate has no such name' }

/** Takes further rules as long as it is not in use: a million cannot be read in one go. */
export interface StrictMapper extends RuleMapper {
  add(rule: RuleSettings): void
}

export function createStrictMapper({ rules: given, users, trusted }: MapperSettings): StrictMapper {
  const index = new RuleIndex(topmost(trusted))
  for (const rule of given) index.add(rule)
  const { rules, types } = index

  const judge = (
    settings: RuleSettings,
    key: string | undefined,
    certificate: CertificateFacts,
    chain: Chain,
  ): Judgement => {
    const { issuers, groupsFrom } = settings
    // Two authorities, also of one root, may use the same number.
    const longest = key?.startsWith('serial:') ? 1 : undefined
    if (issuers && !isIssuedBy(certificate, issuers, [...trusted, ...chain], longest))
      return { reason: 'another authority issued the certificate' }
    const name = nameOf(settings)
    const named = typeof name === 'string' ? { name } : name(certificate)
    if ('reason' in named) return named
    const user = userOf(named.name, settings, users, groupsFrom && certificate)
    return { user, reason: titleOf(settings) }
  }

  return {
    name: 'local',
    findings: index.findings,
    add: (rule) => index.add(rule),
    map(certificate: CertificateFacts, { chain }: Connection): Mapping {
      for (const [position, key] of index.candidates(keysOf(certificate, types))) {
        const rule = rules[position] as RuleSettings
        const { user, reason } = judge(rule, key, certificate, chain)
        if (user) return mapped(user, rule, reason)
      }
      return { status: 'unmapped', reason: `none of ${rules.length} rules names the certificate` }
    },
    *trials(certificate: CertificateFacts, { chain }: Connection): Generator<Trial> {
      const keys = keysOf(certificate, types)
      for (const settings of rules) {
        const wanted = keysIn(settings)
        const key = wanted?.find((each) => keys.includes(each))
        const { user, reason } = wanted && !key ? UNNAMED : judge(settings, key, certificate, chain)
        yield { at: settings.at, rule: titleOf(settings), matched: user !== undefined, reason }
      }
    },
  }
}

/** Which rules a certificate's keys lead to, and what is wrong with the rules. */
class RuleIndex {
  readonly findings: Finding[] = []
  /** Those that can be used. */
  readonly rules: RuleSettings[] = []
  /** The types of keys that they have. */
  readonly types = new Set<string>()
  /** A list only where several rules have the key. */
  readonly #byKey = new Map<string, number | number[]>()
  readonly #everywhere: number[] = []
  readonly #tops: readonly CertificateFacts[]

  constructor(tops: readonly CertificateFacts[]) {
    this.#tops = tops
  }

  add(settings: RuleSettings): void {
    const rule = compile(settings, this.findings)
    if (!rule) return
    if (this.#tops.length > 1 && needsIssuer(rule)) this.findings.push(unnamedIssuer(settings.at, this.#tops))
    if (needsSigner(rule)) this.findings.push(UNNAMED_SIGNER(settings.at))
    this.#reportDouble(rule)
    this.#add(rule)
  }

  /** Positions in the order of the file, each with the key that led to it. */
  candidates(keys: readonly string[]): [position: number, key: string | undefined][] {
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

  /** What an earlier rule takes, a later one never sees, unless the issuers differ. */
  #reportDouble({ settings: { at, issuers }, keys, name }: Rule): void {
    if (typeof name !== 'string' || !keys?.length) return
    const earlier = keys.map((key) =>
      this.#positions(key)
        .map((position) => this.rules[position] as RuleSettings)
        .find((other) => typeof other.user === 'string' && isSameSet(other.issuers, issuers)),
    )
    if (earlier.includes(undefined)) return
    this.findings.push({
      at,
      message: `can never match: ${earlier[0]?.at} names the same certificates`,
      isFatal: false,
    })
  }
}

function isSameSet(one: RuleSettings['issuers'], other: RuleSettings['issuers']): boolean {
  const digest = (issuers: RuleSettings['issuers']) => issuers?.map(({ fingerprintSha256 }) => fingerprintSha256).join()
  return digest(one) === digest(other)
}

function compile(settings: RuleSettings, findings: Finding[]): Rule | undefined {
  try {
    return read(settings)
  } catch (error) {
    if (!(error instanceof RuleError)) throw error
    findings.push({ at: settings.at, message: error.message, isFatal: true })
    return undefined
  }
}

/** @throws {RuleError} */
function read(settings: RuleSettings): Rule {
  return { settings, keys: keysIn(settings), name: nameOf(settings) }
}

/** Undefined where any certificate will do. @throws {RuleError} */
function keysIn({ user, certificates = [], subjectName }: RuleSettings): readonly string[] | undefined {
  if (subjectName !== undefined) return subjectNameKeys(subjectName)
  if (certificates.length > 0) return certificates.map((written) => readTypedRule(written).key)
  return typeof user === 'string' ? [readTypedRule(user).key] : undefined
}

/** A user may be named by the one rule that finds him. @throws {RuleError} */
function nameOf({ user, certificates = [], subjectName }: RuleSettings): string | UserSource {
  if (typeof user !== 'string') return createUserSource(user)
  return certificates.length > 0 || subjectName !== undefined ? user : readTypedRule(user).value
}

function titleOf({ certificates, subjectName, user }: RuleSettings): string {
  if (subjectName !== undefined) return subjectName
  return certificates && certificates.length > 0 ? certificates.join(' or ') : describe(user)
}

function subjectNameKeys(name: string): string[] {
  const type = name.slice(0, Math.max(name.indexOf(':'), 0))
  return isRuleType(type) && type !== 'uri' ? [readTypedRule(name).key] : keysOfSubjectName(name.replace(/^uri:/, ''))
}

function describe(user: RuleSettings['user']): string {
  if (typeof user === 'string') return user
  if (user.template !== undefined) return `template ${user.template}`
  return user.domain === undefined ? `${user.from}` : `${user.from} of ${user.domain}`
}

/** A key belongs to one certificate, whoever issued it. */
function needsIssuer({ settings: { issuers }, keys }: Rule): boolean {
  return !issuers && !(keys?.every((key) => /^(fingerprint|spki|serial):/.test(key)) ?? false)
}

/** A number is unique only among the certificates of one issuer (RFC 5280 4.1.2.2). */
function needsSigner({ settings: { issuers }, keys }: Rule): boolean {
  return !issuers && (keys?.some((key) => key.startsWith('serial:')) ?? false)
}

const UNNAMED_SIGNER = (at: string): Finding => ({
  at,
  message: 'names a serial number without its issuer, of whom each has such a number; add issuer',
  isFatal: true,
})

function unnamedIssuer(at: string, tops: readonly CertificateFacts[]): Finding {
  const names = tops.map(({ subject }) => `"${subject}"`).join(', ')
  const message = `does not say who must have issued the certificate, and the server trusts several authorities (${names}); add issuer with one of them`
  return { at, message, isFatal: true }
}
