/** Who may do what with which repository. */
import type { CertificateFacts } from '../tls-cert-utils/certificate.ts'
import type { User } from '../types.ts'
import { compilePattern, type Pattern } from './pattern.ts'
import type { Resource } from './scope.ts'

/** Who asks, and from where. */
export interface Subject {
  /** Undefined for whoever did not say. */
  readonly user: User | undefined
  /** Only one that was verified. */
  readonly certificate: CertificateFacts | undefined
  readonly address: string
  /** The registry that the token is for. */
  readonly service: string
}

/** The decision on one action, and the rule that made it; `undefined` where no rule applied. */
export interface Reason {
  readonly action: string
  readonly granted: boolean
  readonly rule: string | undefined
}

export interface Judgement {
  /** The granted part of what was asked, in its order; `push` brings `pull`, which every registry demands with it. */
  readonly granted: readonly string[]
  readonly reasons: readonly Reason[]
}

/**
 * The tag that is pulled or pushed. `undefined` for a token, which cannot name a tag: then a right to some tags grants nothing, and what is denied
 * for some tags is denied. Empty for a request that names no tag, such as one for a layer.
 */
export type Tag = string | undefined

/** Decides on rights. It throws GW_UNDECIDED where it cannot: that is never a yes. */
export interface Rights {
  /** Whether a verified certificate can have rights without belonging to a user. */
  readonly byCertificate: boolean
  judge(subject: Subject, resource: Resource, tag: Tag): Judgement | Promise<Judgement>
}

export interface RightsRule {
  readonly name: string
  readonly effect: 'allow' | 'deny'
  /** Empty: every user who has identified himself. */
  readonly users: readonly string[]
  readonly groups: readonly string[]
  /** Whether it also holds for anonymous callers. */
  readonly anonymous: boolean
  /** Every field must be one of its values. */
  readonly certificate: readonly ((certificate: CertificateFacts) => boolean)[]
  readonly addresses: { has(address: string): boolean } | undefined
  readonly repositories: readonly string[]
  /** Empty: whatever the tag. */
  readonly tags: readonly string[]
  readonly catalog: boolean
  readonly actions: readonly string[]
}

/** The actions on a repository; a request for `*` means all of them. */
const REPOSITORY_ACTIONS: readonly string[] = ['pull', 'push', 'delete']

interface CompiledRule {
  readonly rule: RightsRule
  readonly actions: ReadonlySet<string>
  readonly groups: ReadonlySet<string> | undefined
  readonly tags: readonly Pattern[]
  readonly repositories: readonly Pattern[]
}

/** A tree of rules by the literal segments that their patterns begin with, so that a name is compared only with rules that could fit. */
interface Branch {
  readonly rules: CompiledRule[]
  readonly next: Map<string, Branch>
}

interface Bucket {
  readonly byName: Branch
  readonly catalog: CompiledRule[]
}

interface Buckets {
  readonly everybody: Bucket
  readonly users: Map<string, Bucket>
  readonly groups: Map<string, Bucket>
}

/** Compiles rules: every rule that denies comes first, then the union of those that allow. Their order does not matter. */
export function createRights(rules: readonly RightsRule[]): Rights {
  const buckets = bucketsOf(rules)
  return {
    byCertificate: rules.some(({ effect, certificate }) => effect === 'allow' && certificate.length > 0),
    judge(subject, resource, tag) {
      const asked = actionsAsked(resource)
      const denied = new Map<string, string>()
      const allowed = new Map<string, string>()
      for (const bucket of bucketsFor(subject, buckets)) {
        for (const compiled of candidates(bucket, resource)) {
          const { rule, actions } = compiled
          if (!speaksOf(compiled, subject, resource, tag)) continue
          const found = rule.effect === 'deny' ? denied : allowed
          for (const action of actions) if (!found.has(action)) found.set(action, rule.name)
        }
      }
      return judgementOf(asked, allowed, denied)
    },
  }
}

/** The actions that a request is about: `*` stands for all of a repository's, and `push` brings `pull`. */
export function actionsAsked({ type, actions }: Resource): readonly string[] {
  if (type === 'registry') return actions
  const asked = actions.includes('*') ? [...REPOSITORY_ACTIONS, ...actions.filter((each) => each !== '*')] : actions
  if (!asked.includes('push') || asked.includes('pull')) return [...new Set(asked)]
  return ['pull', ...new Set(asked)]
}

function judgementOf(
  asked: readonly string[],
  allowed: ReadonlyMap<string, string>,
  denied: ReadonlyMap<string, string>,
): Judgement {
  const reasons = asked.map((action): Reason => {
    const by = denied.get(action)
    if (by !== undefined) return { action, granted: false, rule: by }
    const rule = allowed.get(action)
    return { action, granted: rule !== undefined, rule }
  })
  return { granted: reasons.filter(({ granted }) => granted).map(({ action }) => action), reasons }
}

/** A rule that names both users and groups is filed by user; its groups are checked when it is found. */
function bucketsOf(rules: readonly RightsRule[]): Buckets {
  const buckets: Buckets = { everybody: newBucket(), users: new Map(), groups: new Map() }
  for (const rule of rules) {
    const compiled = compile(rule)
    for (const bucket of bucketsOfRule(rule, buckets)) {
      if (rule.catalog) bucket.catalog.push(compiled)
      for (const pattern of compiled.repositories) insert(bucket.byName, pattern, compiled)
    }
  }
  return buckets
}

function bucketsOfRule({ users, groups }: RightsRule, buckets: Buckets): Bucket[] {
  if (users.length === 0 && groups.length === 0) return [buckets.everybody]
  const [names, known] = users.length > 0 ? [users, buckets.users] : [groups, buckets.groups]
  return [...new Set(names)].map((name) => {
    const bucket = known.get(name) ?? newBucket()
    known.set(name, bucket)
    return bucket
  })
}

function newBucket(): Bucket {
  return { byName: branch(), catalog: [] }
}

function compile(rule: RightsRule): CompiledRule {
  const isStrict = rule.effect === 'allow'
  const actions = rule.actions.flatMap((action) => (action === '*' ? [...REPOSITORY_ACTIONS, '*'] : [action]))
  if (isStrict && actions.includes('push')) actions.push('pull')
  if (rule.catalog) actions.push('*')
  return {
    rule,
    actions: new Set(actions),
    groups: rule.users.length > 0 && rule.groups.length > 0 ? new Set(rule.groups) : undefined,
    tags: rule.tags.map((tag) => compilePattern(tag, isStrict)),
    repositories: rule.repositories.map((repository) => compilePattern(repository, isStrict)),
  }
}

function branch(): Branch {
  return { rules: [], next: new Map() }
}

function insert(root: Branch, { prefix }: Pattern, compiled: CompiledRule): void {
  let at = root
  for (const segment of prefix) {
    const next = at.next.get(segment) ?? branch()
    at.next.set(segment, next)
    at = next
  }
  if (!at.rules.includes(compiled)) at.rules.push(compiled)
}

function* bucketsFor({ user }: Subject, { everybody, users, groups }: Buckets): Generator<Bucket> {
  yield everybody
  if (!user) return
  const own = users.get(user.name)
  if (own) yield own
  for (const group of user.groups) {
    const bucket = groups.get(group)
    if (bucket) yield bucket
  }
}

function* candidates(bucket: Bucket, { type, name }: Resource): Generator<CompiledRule> {
  if (type === 'registry' && name === 'catalog') yield* bucket.catalog
  if (type !== 'repository') return
  let at: Branch | undefined = bucket.byName
  yield* at.rules
  for (const segment of name.split('/')) {
    at = at.next.get(segment)
    if (!at) return
    yield* at.rules
  }
}

/** Whether the rule applies to this caller, name and tag. That it names the user was checked before. */
function speaksOf(compiled: CompiledRule, subject: Subject, { type, name }: Resource, tag: Tag): boolean {
  const { rule, groups, repositories } = compiled
  // A caller with the certificate that a rule asks for is not anonymous.
  if (!subject.user && !rule.anonymous && rule.certificate.length === 0) return false
  if (groups && !subject.user?.groups.some((group) => groups.has(group))) return false
  if (rule.addresses && !rule.addresses.has(subject.address)) return false
  if (rule.certificate.length > 0 && !certificateFits(rule, subject.certificate)) return false
  if (type === 'registry') return true
  return repositories.some((pattern) => pattern.fits(name, subject.user)) && tagFits(compiled, subject, tag)
}

function certificateFits({ certificate: wanted }: RightsRule, shown: CertificateFacts | undefined): boolean {
  return shown !== undefined && wanted.every((fits) => fits(shown))
}

function tagFits({ tags, rule }: CompiledRule, { user }: Subject, tag: Tag): boolean {
  if (tags.length === 0) return true
  if (tag === undefined) return rule.effect === 'deny'
  if (tag === '') return rule.effect === 'allow'
  return tags.some((pattern) => pattern.fits(tag, user))
}
