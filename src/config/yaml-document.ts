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
import type { Slices } from '../slices.ts'

/** Items of a list that become nodes in one go. */
const CHUNK = 20
/** Lexemes that are read in one go, a tenth of a millisecond: each pause costs all generators that wait for this one. */
const LEXEMES = 32

// Duplicate keys are found by our reader: the library's own search takes quadratic time.
const OPTIONS = { prettyErrors: false, uniqueKeys: false, logLevel: 'error', merge: false } as const

/** What anchors, aliases, tags and directives begin with: they mean something beyond the item that they stand in. */
const FAR_REACHING = /^[&*!%]/

/** A list of which only the last items are left in their place: what follows it is judged by where it ends. */
interface LongList {
  readonly token: CST.BlockSequence
  readonly items: CST.BlockSequence['items']
}

/** @throws RangeError where it is nested too deeply: the library calls itself for each level */
export function* parseDocument(text: string, lines: LineCounter): Slices<Document.Parsed> {
  const parser = new Parser(lines.addNewLine)
  const tokens: CST.Token[] = []
  let isPlain = true
  let read = 0
  lines.addNewLine(0)
  for (const lexeme of new Lexer().lex(text)) {
    if (FAR_REACHING.test(lexeme)) isPlain = false
    for (const token of parser.next(lexeme)) tokens.push(token)
    if (++read % LEXEMES === 0) yield
  }
  tokens.push(...parser.end())
  const lists = isPlain ? tokens.flatMap(takeLongLists) : []
  const document = compose(tokens, text)
  let isWhole = true
  for (const list of lists) isWhole = (yield* putBack(document, list)) && isWhole
  if (isWhole && (lists.length === 0 || document.errors.length + document.warnings.length === 0)) return document
  // Where something is wrong depends on what stands before it: then nobody waits for a configuration, and all is told as the library tells it.
  for (const { token, items } of lists) token.items = items
  return compose(tokens, text)
}

function compose(tokens: readonly CST.Token[], text: string): Document.Parsed {
  const [document, second] = new Composer(OPTIONS).compose(tokens, true, text.length)
  if (!document) throw new Error('the YAML library has made no document')
  if (second) document.errors.push(new YAMLParseError([second.range[0], second.range[1]], 'MULTIPLE_DOCS', ''))
  return document as Document.Parsed
}

/** So that the others can become nodes later, a few at a time. A list in an item of a long list is not looked for. */
function takeLongLists(token: CST.Token | null | undefined): LongList[] {
  if (token?.type === 'document') return takeLongLists(token.value)
  if (token?.type !== 'block-map' && token?.type !== 'block-seq') return []
  if (token.type === 'block-map' || token.items.length <= CHUNK) {
    return token.items.flatMap(({ value }) => takeLongLists(value))
  }
  const { items } = token
  token.items = items.slice(-CHUNK)
  return [{ token, items }]
}

function listAt(node: unknown, offset: number): YAMLSeq | undefined {
  if (isSeq(node) && node.range?.[0] === offset) return node
  const inner = isMap(node) ? node.items.map(({ value }) => value) : isSeq(node) ? node.items : []
  for (const each of inner) {
    const found = listAt(each, offset)
    if (found) return found
  }
  return undefined
}

/** False where there is no list any more, since something before it is wrong. */
function* putBack(document: Document.Parsed, { token, items }: LongList): Slices<boolean> {
  const list = listAt(document.contents, token.offset)
  if (!list) return false
  const last = list.items
  list.items = []
  for (let from = 0; from < items.length - CHUNK; from += CHUNK) {
    const part = { ...token, items: items.slice(from, Math.min(from + CHUNK, items.length - CHUNK)) }
    for (const each of new Composer(OPTIONS).compose([
      { type: 'document', offset: token.offset, start: [], value: part },
    ])) {
      if (isSeq(each.contents)) for (const item of each.contents.items) list.items.push(item)
      document.errors.push(...each.errors)
      document.warnings.push(...each.warnings)
    }
    yield
  }
  for (const item of last) list.items.push(item)
  return true
}
