/**
 * Rights from docker_auth's `acl`, unchanged: the first entry that matches decides, with docker_auth's meaning, including its globs and variables.
 */
import { goExpression, goGlob } from './go-patterns.ts'
import type { Judgement, Rights, Subject } from './rights.ts'
import type { Resource } from './scope.ts'

/** A problem of an acl, for the configuration's list of problems. */
export class AclError extends Error {}

type Field = 'account' | 'type' | 'name' | 'service'
const FIELDS: readonly Field[] = ['account', 'type', 'name', 'service']

interface Entry {
  readonly index: number
  readonly patterns: Readonly<Partial<Record<Field, string>>>
  readonly addresses: AddressTest | undefined
  readonly labels: readonly (readonly [label: string, pattern: string])[]
  readonly actions: readonly string[]
  readonly name: string
}

export interface AddressTest {
  has(address: string): boolean
}

/**
 * @param acl the list, of unknown shape
 * @param addressesOf compiles an address or network, and throws for anything else
 * @throws AclError naming the entry
 */
export function createAclRights(acl: readonly unknown[], addressesOf: (network: string) => AddressTest): Rights {
  const entries = acl.map((entry, index) => entryOf(entry, index, addressesOf))
  // Entries with a literal account are found by it, so a thousand users' entries cost as little as one.
  const byAccount = new Map<string, Entry[]>()
  const general: Entry[] = []
  for (const entry of entries) {
    const { account } = entry.patterns
    if (account === undefined || /[*?[\\$]|^\/.*\/$/.test(account)) general.push(entry)
    else byAccount.set(account, [...(byAccount.get(account) ?? []), entry])
  }
  return {
    byCertificate: false,
    judge(subject, resource) {
      const own = byAccount.get(subject.user?.name ?? '') ?? []
      for (const entry of inOrder(own, general)) if (matches(entry, subject, resource)) return judged(entry, resource)
      return { granted: [], reasons: resource.actions.map((action) => ({ action, granted: false, rule: undefined })) }
    },
  }
}

function judged({ actions, name }: Entry, { actions: asked }: Resource): Judgement {
  const all = actions.length === 1 && actions[0] === '*'
  const reasons = asked.map((action) => ({ action, granted: all || actions.includes(action), rule: name }))
  return { granted: reasons.filter(({ granted }) => granted).map(({ action }) => action), reasons }
}

function* inOrder(some: readonly Entry[], others: readonly Entry[]): Generator<Entry> {
  let [i, j] = [0, 0]
  for (;;) {
    const [a, b] = [some[i], others[j]]
    if (a && (!b || a.index < b.index)) {
      i++
      yield a
    } else if (b) {
      j++
      yield b
    } else return
  }
}

function entryOf(written: unknown, index: number, addressesOf: (network: string) => AddressTest): Entry {
  const wrong = (what: string) => new AclError(`entry ${index + 1} of the acl ${what}`)
  if (!isMap(written)) throw wrong('is no map')
  const { match = {}, actions = [], comment } = written
  if (!isMap(match)) throw wrong('has a match that is no map')
  if (!Array.isArray(actions ?? [])) throw wrong('has actions that are no list')
  const patterns: Partial<Record<Field, string>> = {}
  for (const [key, value] of Object.entries(match)) {
    if (key === 'ip' || key === 'labels') continue
    if (!(FIELDS as readonly string[]).includes(key)) throw wrong(`matches "${key}", which docker_auth does not know`)
    if (typeof value !== 'string') throw wrong(`has a ${key} that is no text`)
    assertPattern(value, (reason) => wrong(`has a ${key} that is no pattern: ${reason}`))
    patterns[key as Field] = value
  }
  const { ip, labels = {} } = match
  if (!isMap(labels)) throw wrong('has labels that are no map')
  return {
    ...{ index, patterns },
    actions: ((actions ?? []) as unknown[]).map(String),
    labels: Object.entries(labels).map(([label, pattern]) => [label, String(pattern)]),
    addresses: ip === undefined ? undefined : addressTest(ip, addressesOf, wrong),
    name: typeof comment === 'string' ? `acl ${index + 1} (${comment.slice(0, 100)})` : `acl ${index + 1}`,
  }
}

function addressTest(ip: unknown, addressesOf: (network: string) => AddressTest, wrong: (what: string) => AclError) {
  try {
    return addressesOf(String(ip))
  } catch {
    throw wrong('has an ip that is neither an address nor a network')
  }
}

function assertPattern(pattern: string, wrong: (reason: string) => AclError): void {
  try {
    expressionOf(pattern.replace(/\$\{[^}]*\}/g, 'x'))
  } catch (error) {
    throw wrong((error as Error).message)
  }
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function matches(entry: Entry, subject: Subject, { type, name }: Resource): boolean {
  const { patterns, addresses, labels } = entry
  const values = { account: subject.user?.name ?? '', type, name, service: subject.service }
  if (addresses && !addresses.has(subject.address)) return false
  const variables = new Map(FIELDS.map((field) => [`\${${field}}`, values[field]]))
  addCaptures(patterns, values, variables)
  for (const field of FIELDS) {
    const pattern = patterns[field]
    if (pattern !== undefined && !fits(pattern, values[field], variables, subject)) return false
  }
  return labels.every(([label, pattern]) =>
    labelValues(subject, label).some((value) => fits(pattern, value, variables, subject)),
  )
}

/** `${account:1}`: the first capture group of the account's expression. */
function addCaptures(patterns: Entry['patterns'], values: Record<Field, string>, variables: Map<string, string>): void {
  for (const field of FIELDS) {
    const pattern = patterns[field]
    if (pattern === undefined || !isExpression(pattern)) continue
    const found = expressionOf(replaced(pattern, variables)).exec(values[field])
    for (const [i, text] of (found ?? []).entries()) variables.set(`\${${field}:${i}}`, text ?? '')
  }
}

/** The user's groups stand for what docker_auth's back ends give as labels. */
function labelValues({ user }: Subject, label: string): readonly string[] {
  return label === 'group' || label === 'groups' ? (user?.groups ?? []) : []
}

const LABEL = /\$\{labels:([^}]+)\}/

/** With `${labels:x}` once for each value of the label. */
function fits(pattern: string, value: string, variables: ReadonlyMap<string, string>, subject: Subject): boolean {
  const label = LABEL.exec(pattern)
  if (!label) return expressionOf(replaced(pattern, variables)).test(value)
  const [whole, name = ''] = label
  return labelValues(subject, name).some((each) => {
    // A function: a text `$&` would stand for the variable again, without end.
    const filled = pattern.replaceAll(whole, () => escaped(each))
    return fits(filled, value, variables, subject)
  })
}

/** Values are quoted, in globs too, where the backslash escapes as well. */
function replaced(pattern: string, variables: ReadonlyMap<string, string>): string {
  return pattern.replace(/\$\{[^}]*\}/g, (variable) => {
    const value = variables.get(variable)
    return value === undefined ? variable : escaped(value)
  })
}

function escaped(value: string): string {
  return value.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')
}

function isExpression(pattern: string): boolean {
  return pattern.length > 2 && pattern.startsWith('/') && pattern.endsWith('/')
}

/** Expressions are not anchored, globs are; as in docker_auth. Compiled ones are kept, for patterns without variables. */
function expressionOf(pattern: string): RegExp {
  const known = compiled.get(pattern)
  if (known) return known
  if (compiled.size >= MOST_COMPILED) compiled.clear()
  const made = isExpression(pattern) ? goExpression(pattern.slice(1, -1)) : goGlob(pattern)
  compiled.set(pattern, made)
  return made
}

const MOST_COMPILED = 10_000
const compiled = new Map<string, RegExp>()
