/** The YAML library's parseDocument, in slices. */
import {
  Composer,
  type CST,
  type Document,
  isMap,
  isSeq,
  Lexer,
  type LineCounter,
  Parser,
  YAMLParseError,
  type YAMLSeq,
} from 'yaml'
import type { Slices } from '../../slices.ts'

/** Items of a list that become nodes in one go. */
const CHUNK = 20
/** Lexemes that are read in one go, a tenth of a millisecond: each pause costs all generators that wait for this one. */
const LEXEMES = 32

// Duplicate keys are found by our reader: the library's own search takes quadratic time.
const OPTIONS = { prettyErrors: false, uniqueKeys: false, logLevel: 'error', merge: false } as const

/** The first characters of anchors, aliases, tags and directives: these have a meaning beyond their own item. */
const FAR_REACHING = /^[&*!%]/

/** How deep in the file a long list may stand, and how many of them: a hostile file must not be searched again and again. What is beyond becomes nodes with all the rest. */
const DEEPEST = 16
const MOST_LISTS = 1000

/** A list that is becoming nodes while what follows it is still being read. */
interface LongList {
  readonly token: CST.BlockSequence
  readonly nodes: unknown[]
}

/** Collections that are open at a time: far more than the reader takes, and so few that one bracket after the other holds nobody up. */
const MOST_OPEN = 256

/** Ten thousand servers with certificates of RSA in the file have seven hundred thousand. */
const MOST_LINES = 2_000_000
/**
 * Words, signs, line ends and the blanks between them; a text of many lines, such as a certificate, counts as one. Ten thousand routes have half a
 * million. Each takes some microseconds, and some hundred bytes.
 */
const MOST_LEXEMES = 3_000_000

/** Thrown where a file is longer than any configuration. */
export class TooLong extends Error {
  constructor(most: number, of: string) {
    super(`holds more than ${most} ${of}; no configuration needs so many`)
  }
}

/** @throws RangeError where it is nested too deeply: the library calls itself for each level; TooLong */
export function* parseDocument(text: string, lines: LineCounter, mostLexemes = MOST_LEXEMES): Slices<Document.Parsed> {
  refuseManyLines(text)
  // Where something is wrong depends on what stands before it: then nobody waits for a configuration, and all is told as the library tells it.
  return (yield* inParts(text, lines, mostLexemes)) ?? (yield* asAWhole(text, lines, mostLexemes))
}

/** Undefined where it takes the whole document to read it. */
function* inParts(text: string, lines: LineCounter, mostLexemes: number): Slices<Document.Parsed | undefined> {
  const parser = new Parser(lines.addNewLine)
  const lists = new LongLists()
  const tokens: CST.Token[] = []
  let read = 0
  lines.addNewLine(0)
  for (const lexeme of new Lexer().lex(text)) {
    if (FAR_REACHING.test(lexeme)) return undefined
    for (const token of parser.next(lexeme)) tokens.push(token)
    if (++read % LEXEMES !== 0) continue
    refuseEndless(parser)
    if (read > mostLexemes) throw new TooLong(mostLexemes, 'words and signs')
    if (!lists.take(parser.stack)) return undefined
    yield
  }
  tokens.push(...parser.end())
  const document = compose(tokens, text)
  if (document.errors.length + document.warnings.length > 0) return undefined
  return lists.putBack(document.contents) ? document : undefined
}

function* asAWhole(text: string, lines: LineCounter, mostLexemes: number): Slices<Document.Parsed> {
  lines.lineStarts.length = 0
  const parser = new Parser(lines.addNewLine)
  const tokens: CST.Token[] = []
  let read = 0
  lines.addNewLine(0)
  for (const lexeme of new Lexer().lex(text)) {
    for (const token of parser.next(lexeme)) tokens.push(token)
    if (++read % LEXEMES !== 0) continue
    refuseEndless(parser)
    if (read > mostLexemes) throw new TooLong(mostLexemes, 'words and signs')
    yield
  }
  tokens.push(...parser.end())
  return compose(tokens, text)
}

function refuseManyLines(text: string): void {
  let count = 0
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) count += 1
  if (count > MOST_LINES) throw new TooLong(MOST_LINES, 'lines')
}

function refuseEndless({ stack }: Parser): void {
  if (stack.length > MOST_OPEN) throw new RangeError('nested too deeply')
}

function compose(tokens: readonly CST.Token[], text: string): Document.Parsed {
  // Where nothing is right there is an error for each sign, and nobody reads where in the library each was made.
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 0
  try {
    return composed(tokens, text)
  } finally {
    Error.stackTraceLimit = stackTraceLimit
  }
}

function composed(tokens: readonly CST.Token[], text: string): Document.Parsed {
  const [document, second] = new Composer(OPTIONS).compose(tokens, true, text.length)
  if (!document) throw new Error('the YAML library has made no document')
  if (second) document.errors.push(new YAMLParseError([second.range[0], second.range[1]], 'MULTIPLE_DOCS', ''))
  return document as Document.Parsed
}

/**
 * The items of long lists become nodes as soon as they have been read, and nothing else is kept of them: the library's tokens of ten thousand routes are a hundred
 * megabytes, which the garbage collector would copy again and again.
 */
class LongLists {
  /** In the order of the file. */
  #all: LongList[] = []

  /** @param open what the parser has begun and not ended, the outermost first. @returns false where something is wrong with the items */
  take(open: readonly CST.Token[]): boolean {
    // A list in an item of a long list goes with its item.
    const token = open.slice(0, DEEPEST).find(isLong)
    if (!token || (this.#all.length >= MOST_LISTS && !this.#all.some((list) => list.token === token))) return true
    return this.#takeFrom(token)
  }

  /** All but the last: what follows a list is judged by where it ends. */
  #takeFrom(token: CST.BlockSequence): boolean {
    const part = { ...token, items: token.items.splice(0, token.items.length - CHUNK) }
    const [document] = new Composer(OPTIONS).compose([
      { type: 'document', offset: token.offset, start: [], value: part },
    ])
    if (!document || !isSeq(document.contents) || document.errors.length + document.warnings.length > 0) return false
    // What had been taken from lists in these items before so many of them were known.
    const next = token.items[0]?.start[0]?.offset ?? 0
    const isWithin = ({ token: { offset } }: LongList) => offset > token.offset && offset < next
    const within = this.#all.filter(isWithin)
    if (within.length > 0) {
      if (!fill(within, document.contents)) return false
      this.#all = this.#all.filter((list) => !isWithin(list))
    }
    this.#nodesOf(token).push(...document.contents.items)
    return true
  }

  #nodesOf(token: CST.BlockSequence): unknown[] {
    const known = this.#all.find((list) => list.token === token)
    if (known) return known.nodes
    const list = { token, nodes: [] }
    this.#all.push(list)
    return list.nodes
  }

  putBack(contents: unknown): boolean {
    return fill(this.#all, contents)
  }
}

function isLong(token: CST.Token): token is CST.BlockSequence {
  return token.type === 'block-seq' && token.items.length > 2 * CHUNK
}

/** False where there is no such list any more, since something before it is wrong. */
function fill(lists: readonly LongList[], contents: unknown): boolean {
  const wanted = new Map(lists.map(({ token, nodes }) => [token.offset, nodes]))
  // All are looked for before one of them is long again.
  const found = [...seqsOf(contents)].flatMap((seq) => {
    const nodes = wanted.get(seq.range?.[0] ?? -1)
    return nodes ? [{ seq, nodes }] : []
  })
  for (const { seq, nodes } of found) seq.items = [...nodes, ...seq.items]
  return found.length === wanted.size
}

function* seqsOf(node: unknown): Generator<YAMLSeq> {
  if (isSeq(node)) yield node
  const inner = isMap(node) ? node.items.map(({ value }) => value) : isSeq(node) ? node.items : []
  for (const each of inner) yield* seqsOf(each)
}
