/** Names with wildcards, anchored at both ends: `*` stays within one segment of a path, `**` crosses them; `~` begins a regular expression. */
import type { User } from '../types.ts'

/** A variable: the user's name, or each of the groups. */
const VARIABLE = /\$\{(user|group)\}/g
const WILD = /\*\*|\*/g

export interface Pattern {
  /** The segments before the first wildcard or variable: every name that fits begins with them. */
  readonly prefix: readonly string[]
  /** @param user the user whose name and groups replace the variables; without one, a pattern with a variable fits nothing */
  fits(name: string, user: User | undefined): boolean
}

/**
 * @param strict for patterns that allow something: then the value of a variable must be a single segment, so that a user called `team/x` does not get
 * what is the team's. Patterns that deny take the value as it is.
 * @throws SyntaxError for an invalid regular expression
 */
export function compilePattern(written: string, strict: boolean): Pattern {
  if (written.startsWith('~')) {
    const expression = new RegExp(`^(?:${written.slice(1)})$`)
    return { prefix: [], fits: (name) => expression.test(name) }
  }
  const prefix = literalSegments(written)
  if (written.search(VARIABLE) < 0) {
    const isLiteral = !written.includes('*')
    const expression = new RegExp(`^${expressionOf(written)}$`)
    return { prefix, fits: isLiteral ? (name) => name === written : (name) => expression.test(name) }
  }
  const variables = [...written.matchAll(VARIABLE)].map(([, name]) => name as keyof Values)
  const groupsOf = variables.includes('group') ? ({ groups }: User) => groups : () => NO_GROUP
  // A user is the same object as long as the configuration is in use, so the expressions are made once for each.
  const known = new WeakMap<User, Map<string, RegExp>>()
  const expressionFor = (user: User, values: Values): RegExp => {
    const made = known.get(user) ?? new Map<string, RegExp>()
    known.set(user, made)
    const expression = made.get(values.group) ?? new RegExp(`^${substituted(written, values)}$`)
    made.set(values.group, expression)
    return expression
  }
  const fitsFor = (name: string, user: User, group: string): boolean => {
    const values = { user: user.name, group }
    // Of a thousand groups a name holds hardly any, and only for those an expression is made.
    if (!variables.every((variable) => name.includes(values[variable]))) return false
    if (strict && variables.some((variable) => values[variable] === '' || values[variable].includes('/'))) return false
    return expressionFor(user, values).test(name)
  }
  return {
    prefix,
    fits: (name, user) => user !== undefined && groupsOf(user).some((group) => fitsFor(name, user, group)),
  }
}

interface Values {
  readonly user: string
  readonly group: string
}

const NO_GROUP: readonly string[] = ['']

function literalSegments(written: string): string[] {
  const segments = written.split('/')
  const wild = segments.findIndex((segment) => /\*|\$\{/.test(segment))
  return wild < 0 ? segments : segments.slice(0, wild)
}

function substituted(written: string, values: Values): string {
  let source = ''
  let end = 0
  for (const match of written.matchAll(VARIABLE)) {
    source += expressionOf(written.slice(end, match.index)) + quoted(values[match[1] as keyof Values])
    end = match.index + match[0].length
  }
  return source + expressionOf(written.slice(end))
}

function expressionOf(written: string): string {
  let source = ''
  let end = 0
  for (const match of written.matchAll(WILD)) {
    source += quoted(written.slice(end, match.index)) + (match[0] === '**' ? '.+' : '[^/]*')
    end = match.index + match[0].length
  }
  return source + quoted(written.slice(end))
}

export function quoted(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&')
}
