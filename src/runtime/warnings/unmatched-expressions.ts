/**
 * Warns of paths that ask for what no request's path holds: regular expressions, and prefixes with patterns of other gateways. Such a route takes no
 * request, so that another one may take those that it was meant to refuse. A plain prefix that is written like an expression is refused, or normalised; in
 * an expression another alternative may still match.
 */
import type { RouteConfig } from '../../config/index.ts'
import type { Slices } from '../../slices.ts'
import type { Materials } from '../materials.ts'

export function* warnOfUnmatchedExpressions(routes: readonly RouteConfig[], materials: Materials): Slices<void> {
  for (const { at, paths = [] } of routes) {
    for (const [i, path] of paths.entries()) {
      const isExpression = path.startsWith('~')
      const fault = isExpression ? faultOf(path.slice(1)) : undefined
      if (fault !== undefined) materials.warn(`${at}.paths[${i}]`, `${fault}: what this is part of matches no request`)
      const pattern = isExpression ? undefined : OF_PATTERNS.exec(path)?.[0]
      if (pattern !== undefined)
        materials.warn(`${at}.paths[${i}]`, `is a prefix, which has no patterns: ${pattern} ${LITERAL}`)
    }
    yield
  }
}

/** As other gateways write them: /api/*, /users/{id}, /users/:id; and expressions without their ~: /v[0-9]+, /a(b|c), /^a, /a$. */
const OF_PATTERNS = /\*+|\{[^/]*\}|(?<=\/):\w+|\[[^/]*\]|[|^]|\$$/
const LITERAL =
  'stands for itself; write what is before it, as /api/ for /api/*, or ~ and an expression, as ~/users/[^/]+'

/** What an expression asks for and no path has (routing/path.ts); undefined where nothing is found. */
function faultOf(written: string): string | undefined {
  // In a class, other members may match.
  const source = written.replace(/\[(?:\\.|[^\\\]])*\]/gs, '.').replaceAll('\\/', '/')
  const [character] = /[^\x21-\x7e]/u.exec(source) ?? []
  if (character !== undefined) {
    return `holds ${JSON.stringify(character)}, which paths hold as ${encodeURIComponent(character.toWellFormed())}`
  }
  const triplet = source.match(/%[0-9A-Fa-f]{2}/g)?.find((each) => normal(each, source) !== each)
  if (triplet !== undefined) return `holds ${triplet}, which paths hold as ${normal(triplet, source)}`
  if (/\/\/(?![?*{])/.test(source)) return 'holds //, which is / in paths'
  if (/\\\?(?![?*{])/.test(source)) return 'holds a question mark, and only the path is matched, without its query'
  if (/^[\w%-](?![?*{])/.test(source) && !source.includes('|')) return 'does not begin with /, as paths do'
  return undefined
}

/** The escape as paths have it: in upper case, none of unreserved characters. */
function normal(triplet: string, source: string): string {
  const character = String.fromCharCode(Number.parseInt(triplet.slice(1), 16))
  if (/[\w.~-]/.test(character)) return character
  return /\(\?[a-z]*i/.test(source) ? triplet : triplet.toUpperCase()
}
