/** `mapping: strict`: rules with types, exact, independent of the order of RDNs, the issuing authority named where there are several. */
import type { CertificateFacts } from '../../tls-cert-utils/certificate.ts'
import type { Connection, Mapping, Trial, User, Users } from '../../types.ts'
import { isIssuedBy, topmost } from './issuers.ts'
import { type Finding, mapped, type RuleMapper, type RuleSettings, userOf } from './rule.ts'
import { isRuleType, keysOf, keysOfSubjectName, RuleError, readTypedRule, type TypedRule } from './typed-rule.ts'
import { createUserSource, type UserSource } from './user-source.ts'

export interface MapperSettings {
  readonly rules: readonly RuleSettings[]
  readonly users: Users
  /** The authorities that the server trusts. */
  readonly trusted: readonly CertificateFacts[]
}

/** A rule ready to be asked. */
interface Rule {
  readonly settings: RuleSettings
  readonly title: string
  /** One of them must be a key of the certificate; undefined where any certificate will do. */
  readonly keys: readonly string[] | undefined
  /** The user, or how to find his name in the certificate. */
  readonly user: User | UserSource
}

/** The verified issuers of the certificate, which may be none of those that the server trusts itself. */
type Chain = Connection['chain']

type Judgement =
  | { readonly user: User; readonly reason: string }
  | { readonly reason: string; readonly user?: undefined }

export function createStrictMapper({ rules: settings, users, trusted }: MapperSettings): RuleMapper {
  const findings: Finding[] = []
  const rules = settings.flatMap((each) => compile(each, users, findings) ?? [])
  const tops = topmost(trusted)
  if (tops.length > 1)
    findings.push(...rules.filter(needsIssuer).map(({ settings: { at } }) => unnamedIssuer(at, tops)))
  findings.push(...rules.filter(needsSigner).map(({ settings: { at } }) => UNNAMED_SIGNER(at)), ...doubles(rules))
  const byKey = new Map<string, number[]>()
  const everywhere: number[] = []
  for (const [position, { keys }] of rules.entries()) {
    if (!keys) everywhere.push(position)
    for (const key of keys ?? []) {
      const positions = byKey.get(key)
      if (positions) positions.push(position)
      else byKey.set(key, [position])
    }
  }

  const judge = (rule: Rule, certificate: CertificateFacts, keys: readonly string[], chain: Chain): Judgement => {
    const key = rule.keys?.find((each) => keys.includes(each))
    if (rule.keys && key === undefined) return { reason: 'the certificate has no such name' }
    const { issuers, groupsFrom } = rule.settings
    // Two authorities, also of one root, may use the same number.
    const longest = key?.startsWith('serial:') ? 1 : undefined
    if (issuers && !isIssuedBy(certificate, issuers, [...trusted, ...chain], longest))
      return { reason: 'another authority issued the certificate' }
    if (typeof rule.user !== 'function') {
      const user = groupsFrom ? userOf(rule.user.name, rule.settings, users, certificate) : rule.user
      return { user, reason: rule.title }
    }
    const named = rule.user(certificate)
    if ('reason' in named) return named
    return { user: userOf(named.name, rule.settings, users, certificate), reason: rule.title }
  }

  return {
    name: 'local',
    findings,
    map(certificate: CertificateFacts, { chain }: Connection): Mapping {
      const keys = keysOf(certificate)
      const candidates = new Set([...everywhere, ...keys.flatMap((key) => byKey.get(key) ?? [])])
      for (const position of [...candidates].sort((a, b) => a - b)) {
        const rule = rules[position] as Rule
        const { user, reason } = judge(rule, certificate, keys, chain)
        if (user) return mapped(user, rule.settings, reason)
      }
      return { status: 'unmapped', reason: `none of ${rules.length} rules names the certificate` }
    },
    *trials(certificate: CertificateFacts, { chain }: Connection): Generator<Trial> {
      const keys = keysOf(certificate)
      for (const rule of rules) {
        const { user, reason } = judge(rule, certificate, keys, chain)
        yield { at: rule.settings.at, rule: rule.title, matched: user !== undefined, reason }
      }
    },
  }
}

function compile(settings: RuleSettings, users: Users, findings: Finding[]): Rule | undefined {
  try {
    const { name, typed, source } = read(settings)
    const { subjectName } = settings
    const keys = subjectName === undefined ? typed.map(({ key }) => key) : subjectNameKeys(subjectName)
    const title =
      subjectName ?? (typed.map((rule) => `${rule.type}:${rule.value}`).join(' or ') || describe(settings.user))
    if (source) return { settings, title, keys: keys.length > 0 ? keys : undefined, user: source }
    return { settings, title, keys, user: userOf(name, settings, users, undefined) }
  } catch (error) {
    if (!(error instanceof RuleError)) throw error
    findings.push({ at: settings.at, message: error.message, isFatal: true })
    return undefined
  }
}

/** A user may be named by the one rule that finds him. */
function read({ user, certificates, subjectName }: RuleSettings): {
  name: string
  typed: TypedRule[]
  source: UserSource | undefined
} {
  const typed = (certificates ?? []).map(readTypedRule)
  if (typeof user !== 'string') {
    const source = createUserSource(user)
    return { name: '', typed, source: source }
  }
  if (typed.length > 0 || subjectName !== undefined) return { name: user, typed, source: undefined }
  const own = readTypedRule(user)
  return { name: own.value, typed: [own], source: undefined }
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

/** What an earlier rule takes, a later one never sees, unless the issuers differ. */
function doubles(rules: readonly Rule[]): Finding[] {
  const first = new Map<string, string>()
  const findings: Finding[] = []
  for (const { keys, settings, user } of rules) {
    if (typeof user === 'function') continue
    const issuers = settings.issuers?.map(({ fingerprintSha256 }) => fingerprintSha256).join() ?? ''
    const taken = keys?.map((key) => first.get(`${key} ${issuers}`)) ?? []
    if (taken.length > 0 && taken.every((other) => other !== undefined)) {
      findings.push({
        at: settings.at,
        message: `can never match: ${taken[0]} names the same certificates`,
        isFatal: false,
      })
    }
    for (const key of keys ?? []) {
      const id = `${key} ${issuers}`
      if (!first.has(id)) first.set(id, settings.at)
    }
  }
  return findings
}
