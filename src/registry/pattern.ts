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
  // A user is the same object as long as the configuration is in use, so the expressions are made once for each.
  const known = new WeakMap<User, readonly RegExp[]>()
  const expressionsFor = (user: User): readonly RegExp[] => {
    let found = known.get(user)
    if (!found) {
      found = substituted(written, user, strict).map((source) => new RegExp(`^${source}$`))
      known.set(user, found)
    }
    return found
  }
  return { prefix, fits: (name, user) => user !== undefined && expressionsFor(user).some((each) => each.test(name)) }
}

function literalSegments(written: string): string[] {
  const segments = written.split('/')
  const wild = segments.findIndex((segment) => /\*|\$\{/.test(segment))
  return wild < 0 ? segments : segments.slice(0, wild)
}

/** One expression for each group where `${group}` is in it, else one. */
function substituted(written: string, user: User, strict: boolean): string[] {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: it is what is looked for
  const groups = written.includes('${group}') ? user.groups : ['']
  return groups.flatMap((group) => {
    const values = { user: user.name, group }
    const used = [...written.matchAll(VARIABLE)].map(([, name]) => values[name as keyof typeof values])
    if (strict && used.some((value) => value === '' || value.includes('/'))) return []
    let source = ''
    let end = 0
    for (const match of written.matchAll(VARIABLE)) {
      source += expressionOf(written.slice(end, match.index)) + quoted(values[match[1] as keyof typeof values])
      end = match.index + match[0].length
    }
    return [source + expressionOf(written.slice(end))]
  })
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
