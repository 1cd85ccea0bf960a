/**
 * docker_auth's patterns are Go's: RE2 expressions and path.Match globs. JavaScript reads some of the same characters differently and reports nothing
 * (`\A` is an A, `[[:alpha:]]` a class of six letters and a bracket). Then an entry that denies would not match, and a later one might allow. So
 * whatever is not known to mean the same is refused.
 */
import { quoted } from './pattern.ts'

/** One piece of an expression: an escape, the beginning of a class or group, or any other character. */
const PIECES = /\\x[0-9A-Fa-f]{2}|\\[\s\S]|\[\^?\]?|\(\?P?<|\(\?.|\[|[\s\S]/g
/** Escapes that mean the same in both languages, inside a class and outside. Names hold no non-ASCII characters. */
const SHARED_ESCAPE = /^\\(?:[dDsSwWbBtnrfv]|[^0-9A-Za-z]|x[0-9A-Fa-f]{2})$/
/** RE2's for the beginning and the end of the text. JavaScript's do the same without its flag `m`. */
const ANCHORS: Readonly<Record<string, string>> = { '\\A': '^', '\\z': '$' }

/** @throws SyntaxError for an invalid expression, or one that differs in the two languages */
export function goExpression(written: string): RegExp {
  const [flags = '', letters] = /^\(\?([is]+)\)/.exec(written) ?? []
  const source = written.slice(flags.length)
  let inClass = false
  const pieces = source.match(PIECES) ?? []
  const translated = pieces.map((piece, i) => {
    if (piece.startsWith('\\')) return escapeOf(piece, inClass)
    if (inClass) {
      if (piece.startsWith('[') && source.slice(offsetOf(pieces, i)).startsWith('[:')) throw unlike('[:')
      inClass = !piece.endsWith(']')
      return piece
    }
    if (piece.startsWith('[')) {
      // Go takes a first bracket for a member of the class; JavaScript ends the class with it.
      if (piece.endsWith(']')) throw unlike(piece)
      inClass = true
      return piece
    }
    if (piece === '(?P<' || piece === '(?<') return namedGroup(source.slice(offsetOf(pieces, i) + piece.length))
    if (piece.startsWith('(?') && piece !== '(?:') throw unlike(piece)
    return piece
  })
  return new RegExp(translated.join(''), letters)
}

function offsetOf(pieces: readonly string[], at: number): number {
  return pieces.slice(0, at).join('').length
}

function escapeOf(piece: string, inClass: boolean): string {
  const anchor = inClass ? undefined : ANCHORS[piece]
  if (anchor !== undefined) return anchor
  // In a class, \b is a backspace in JavaScript, and unknown to Go.
  if (!SHARED_ESCAPE.test(piece) || (inClass && /^\\[bB]$/.test(piece))) throw unlike(piece)
  return piece
}

/** A look-behind, which Go does not know, begins in the same way. */
function namedGroup(rest: string): string {
  if (/^[=!]/.test(rest)) throw unlike(`(?<${rest[0]}`)
  return '(?<'
}

function unlike(piece: string): SyntaxError {
  return new SyntaxError(`"${piece}" means something else in Go than in JavaScript, or nothing; write it otherwise`)
}

/** path.Match's: `*` and `?` stop at a slash, classes in brackets, a backslash escapes. @throws SyntaxError */
export function goGlob(pattern: string): RegExp {
  let source = ''
  for (let i = 0; i < pattern.length; i++) {
    const character = pattern[i] as string
    if (character === '*') source += '[^/]*'
    else if (character === '?') source += '[^/]'
    else if (character === '\\' && i + 1 < pattern.length) source += quoted(pattern[++i] as string)
    else if (character === '[') {
      const [whole, inverted, members = ''] = CLASS.exec(pattern.slice(i)) ?? []
      if (whole === undefined) throw new SyntaxError('a class in brackets is not whole')
      source += `[${inverted}${members.replaceAll(MEMBER, classMember)}]`
      i += whole.length - 1
    } else source += quoted(character)
  }
  return new RegExp(`^${source}$`)
}

/** Neither a hyphen nor a bracket stands alone in one. */
const MEMBER = /\\?([^\\\]-])|\\([\s\S])/g
const CLASS = /^\[(\^?)((?:(?:\\[\s\S]|[^\\\]-])(?:-(?:\\[\s\S]|[^\\\]-]))?)+)\]/

function classMember(_whole: string, plain: string | undefined, escaped: string | undefined): string {
  return quoted(plain ?? escaped ?? '')
}
