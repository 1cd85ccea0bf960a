/** Whether a name is one that a pattern means. */
export type NameMatcher = (name: string) => boolean

/** Longer names are never compared with a star, only as a whole: this bounds the work that a client can cause. */
const LONGEST = 4096
/** A NUL or a line end in a name is an attempt to be read as another name. */
const CONTROL = /[\x00-\x1f\x7f-\x9f]/

/** A character, or a star: one or more characters, `separator` among them only where it crosses. */
type Token = string | { readonly crosses: boolean }

/**
 * Compiles `ada`, `svc-*`, `*@example.com`, `*.example.com` or `spiffe://example.org/ns/**`. The whole name must fit. `*` stands for one or more
 * characters other than `separator`, `**` for any; `\*` is a star and `\\` a backslash. Takes time in proportion to the name's length:
 * certificates come from strangers.
 */
export function compileNamePattern(pattern: string, separator?: string): NameMatcher {
  const tokens = tokensOf(pattern)
  if (tokens.every((token) => typeof token === 'string')) {
    const exact = tokens.join('')
    return (name) => name === exact
  }
  return (name) => name.length <= LONGEST && !CONTROL.test(name) && fits(name, tokens, separator)
}

function tokensOf(pattern: string): Token[] {
  const tokens: Token[] = []
  for (const [part] of pattern.matchAll(/\\[\\*]|\*\*?|./gsu)) {
    if (part === '*' || part === '**') tokens.push({ crosses: part === '**' })
    else tokens.push(part.length === 2 && part.startsWith('\\') ? part.slice(1) : part)
  }
  return tokens
}

/** Follows all possible positions at once, so that no name can cause backtracking. */
function fits(name: string, tokens: readonly Token[], separator: string | undefined): boolean {
  let reached = new Set([0])
  for (const character of name) {
    const next = new Set<number>()
    for (const at of reached) {
      const token = tokens[at]
      if (token === undefined) continue
      if (typeof token === 'string') {
        if (token === character) next.add(at + 1)
      } else if (token.crosses || character !== separator) {
        next.add(at).add(at + 1)
      }
    }
    if (next.size === 0) return false
    reached = next
  }
  return reached.has(tokens.length)
}
