/**
 * Reads YAML into plain values, with the line of each. Bounded against hostile files. Its messages never repeat the file's text, which may hold keys.
 */
import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Scalar,
  visit,
  type YAMLError,
  type YAMLMap,
} from 'yaml'
import type { Problem } from '../../errors.ts'
import type { Slices } from '../../slices.ts'
import { type Places, type Position, pathTo } from '../place.ts'
import { Spots } from './spots.ts'
import { parseDocument, TooLong } from './yaml-document.ts'

/** A map of the file. It has no prototype, so a key such as `__proto__` is a key like any other. */
export type Tree = Record<string, unknown>

/** Aliases can make a small file huge; no honest configuration has so many values or nests so deeply. */
const MOST_VALUES = 1_000_000
const DEEPEST = 64
const MOST_SYNTAX_PROBLEMS = 20
/** Values of a list that are read in one go where they hold no others: a pause costs all generators that wait for this one. */
const LEAVES = 32

export interface YamlOptions {
  readonly source: string
  readonly places: Places
  /** Replaces the variables in a text value. */
  readonly expand: (text: string, path: string) => unknown
}

export interface YamlRead {
  readonly tree: Tree | undefined
  readonly problems: Problem[]
}

/** The file's map; undefined where problems kept it from being read. */
export function* readYaml(bytes: Uint8Array, options: YamlOptions): Slices<YamlRead> {
  const { source } = options
  const text = decode(bytes)
  if (text === undefined)
    return { tree: undefined, problems: [{ path: '', source, message: 'is not UTF-8; save it in that encoding' }] }
  const lines = new LineCounter()
  let document: Document.Parsed
  try {
    document = yield* parseDocument(text, lines)
  } catch (error) {
    if (error instanceof TooLong) return { tree: undefined, problems: [{ path: '', source, message: error.message }] }
    // The parser calls itself for each level of nesting.
    if (!(error instanceof RangeError)) throw error
    return { tree: undefined, problems: [{ path: '', source, message: 'is nested too deeply' }] }
  }
  const faults = [...document.errors, ...document.warnings].sort((a, b) => a.pos[0] - b.pos[0])
  if (faults.length > 0) {
    const problems = new Map<string, Problem>()
    for (const { code, pos } of telling(faults, text).slice(0, MOST_SYNTAX_PROBLEMS)) {
      const isVariable = isBareVariable(text, pos[0])
      const { line, col } = lines.linePos(isVariable ? pos[0] - 1 : pos[0])
      const plain = isBareAddress(text, pos[0]) ? BARE_ADDRESS : (SYNTAX[code] ?? `is no valid YAML (${code})`)
      const message = isVariable ? BARE_VARIABLE : plain
      problems.set(`${line}:${col}:${code}`, { path: '', source, line, column: col, message })
    }
    return { tree: undefined, problems: [...problems.values()] }
  }
  return yield* new Reader(document, lines, options).read()
}

function decode(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return undefined
  }
}

// biome-ignore-start lint/suspicious/noTemplateCurlyInString: it is what the user shall write.
const BARE_VARIABLE =
  'begins a variable inside { } or [ ], where YAML reads a bare brace as its own; write "${NAME}" in quotes'
// biome-ignore-end lint/suspicious/noTemplateCurlyInString: as above

function isBareVariable(text: string, offset: number): boolean {
  return text.startsWith('${', offset - 1)
}

const BARE_ADDRESS = 'follows an address in [ ], where YAML reads a list; write the whole in quotes, as "[::]:8443"'

/** As in `listen: [::]:8443`, which is how nginx has it. */
function isBareAddress(text: string, offset: number): boolean {
  return text[offset] === ':' && /\[[\da-fA-F:.]*:[\da-fA-F:.]*\]$/.test(text.slice(Math.max(0, offset - 50), offset))
}

/** A bare `${` in a flow collection breaks the brackets of everything after it, so errors reported there would mislead. */
function telling(faults: readonly YAMLError[], text: string): readonly YAMLError[] {
  const first = faults.findIndex(({ pos }) => isBareVariable(text, pos[0]))
  return first < 0 ? faults : faults.filter(({ pos }, index) => index <= first || isBareVariable(text, pos[0]))
}

/** Our messages for the library's codes: its own messages quote the file. */
const SYNTAX: Record<string, string> = {
  BAD_ALIAS: 'is an alias (*) without an anchor (&) of that name above it; put text that begins with * in quotes',
  BAD_DQ_ESCAPE: 'holds an unknown escape after \\ in double quotes; use single quotes for text with backslashes',
  BAD_INDENT: 'is indented wrongly, or a bracket, brace or quote above it is not closed',
  BAD_SCALAR_START: 'begins with a character that YAML reserves; put the text in quotes',
  BLOCK_AS_IMPLICIT_KEY: 'is indented wrongly, or has two colons; put text that holds ": " in quotes',
  BLOCK_IN_FLOW: 'is a block inside [ ] or { }; write it on lines of its own',
  MISSING_CHAR: 'lacks a character: a closing quote, bracket or brace, or a comma between two items',
  MULTILINE_IMPLICIT_KEY: 'is a key over several lines; is a colon missing?',
  MULTIPLE_DOCS: 'begins a second document (---); expected one',
  TAB_AS_INDENT: 'is indented with a tab; use spaces',
  TAG_RESOLVE_FAILED: 'has a tag (!) that is not known here; remove it, or put text that begins with ! in quotes',
  UNEXPECTED_TOKEN: 'is not expected here; check the quotes, brackets and indentation',
}

/** Thrown to stop: nothing further is worth a message. */
class TooMuch extends Error {}

class Reader {
  readonly #document: Document.Parsed
  readonly #lines: LineCounter
  readonly #options: YamlOptions
  readonly #problems: Problem[] = []
  readonly #spots = new Spots()
  #values = 0
  #meanings: ReadonlyMap<Alias, Node | undefined> | undefined

  constructor(document: Document.Parsed, lines: LineCounter, options: YamlOptions) {
    this.#document = document
    this.#lines = lines
    this.#options = options
  }

  *read(): Slices<YamlRead> {
    const root = this.#document.contents
    const lines = this.#lines
    // Places live as long as the configuration, so they must not hold the document, which is many times the size of its file.
    this.#options.places.stand(this.#spots, (offset) => positionAt(lines, offset))
    try {
      // A file that is empty, or only has comments, is a configuration with every setting at its default.
      if (root === null || (isScalar(root) && root.value === null)) return { tree: emptyTree(), problems: [] }
      if (isMap(root)) return { tree: yield* this.#map(root, '', 0), problems: this.#problems }
      this.#report(root, '', 'holds no settings; expected lines such as "listeners:"')
    } catch (error) {
      if (!(error instanceof TooMuch)) throw error
      this.#problems.push({ path: '', source: this.#options.source, message: error.message })
    }
    return { tree: undefined, problems: this.#problems }
  }

  *#value(node: unknown, path: string, depth: number): Slices<unknown> {
    if (isScalar(node)) return this.#scalar(node, path, depth)
    this.#count(depth)
    if (isAlias(node)) return yield* this.#alias(node, path, depth)
    if (isMap(node)) return yield* this.#map(node, path, depth)
    return isSeq(node) ? yield* this.#items(node.items, path, depth) : null
  }

  #scalar({ value }: Scalar, path: string, depth: number): unknown {
    this.#count(depth)
    return typeof value === 'string' ? this.#options.expand(value, path) : value
  }

  #count(depth: number): void {
    this.#values++
    if (this.#values > MOST_VALUES)
      throw new TooMuch(`holds more than ${MOST_VALUES} values once its aliases (*) are written out`)
    if (depth > DEEPEST)
      throw new TooMuch(`is nested more than ${DEEPEST} deep; does an alias (*) stand inside its own anchor (&)?`)
  }

  *#alias(alias: Alias, path: string, depth: number): Slices<unknown> {
    this.#meanings ??= meaningsOf(this.#document)
    const node = this.#meanings.get(alias)
    if (node) return yield* this.#value(node, path, depth + 1)
    this.#report(alias, path, SYNTAX.BAD_ALIAS ?? '')
    return null
  }

  *#items(nodes: readonly unknown[], path: string, depth: number): Slices<unknown[]> {
    const items: unknown[] = []
    for (const node of nodes) {
      const inner = pathTo(path, items.length)
      const spot = this.#spots.begin(startOf(node))
      const isLeaf = isScalar(node)
      items.push(isLeaf ? this.#scalar(node, inner, depth + 1) : yield* this.#value(node, inner, depth + 1))
      this.#spots.end(spot)
      if (!isLeaf || items.length % LEAVES === 0) yield
    }
    return items
  }

  *#map(node: YAMLMap, path: string, depth: number): Slices<Tree> {
    const tree = emptyTree()
    const merged: Tree[] = []
    for (const pair of node.items) {
      if (!isPair(pair)) continue
      const key = this.#key(pair.key, path)
      if (key === undefined) continue
      if (key === '<<') {
        merged.push(...(yield* this.#merged(pair.value, path, depth)))
        continue
      }
      const inner = pathTo(path, key)
      if (key in tree) this.#report(pair.key, inner, 'is written twice; keep one of them')
      const spot = this.#spots.begin(startOf(pair.key), key)
      const { value } = pair
      tree[key] = isScalar(value) ? this.#scalar(value, inner, depth + 1) : yield* this.#value(value, inner, depth + 1)
      this.#spots.end(spot)
    }
    return Object.assign(emptyTree(), ...merged.reverse(), tree)
  }

  #key(node: unknown, path: string): string | undefined {
    if (isScalar(node) && node.value !== null && typeof node.value !== 'object') return String(node.value)
    this.#report(node, path, 'has a key that is no text; expected the name of a setting')
    return undefined
  }

  /** YAML 1.1's merge key, which Kong's files may use: a merged key counts where the map itself has none. */
  *#merged(node: unknown, path: string, depth: number): Slices<Tree[]> {
    const value = yield* this.#value(node, path, depth + 1)
    const maps = Array.isArray(value) ? value : [value]
    if (maps.every((each) => typeof each === 'object' && each !== null && !Array.isArray(each))) return maps
    this.#report(node, path, 'merges (<<) something that is no map')
    return []
  }

  #report(node: unknown, path: string, message: string): void {
    const start = startOf(node)
    const position = start === undefined ? undefined : positionAt(this.#lines, start)
    this.#problems.push({ path, source: this.#options.source, ...position, message })
  }
}

/**
 * What each alias stands for: the last node before it that has its anchor. The library's `resolve` goes through the whole document for each of them,
 * so that a file of a few hundred kilobytes would take minutes.
 */
function meaningsOf(document: Document.Parsed): ReadonlyMap<Alias, Node | undefined> {
  const anchored = new Map<string, Node>()
  const meanings = new Map<Alias, Node | undefined>()
  visit(document, {
    Node(_key, node) {
      if (isAlias(node)) meanings.set(node, anchored.get(node.source))
      else if (node.anchor !== undefined) anchored.set(node.anchor, node)
    },
  })
  return meanings
}

function startOf(node: unknown): number | undefined {
  return (node as Node | null)?.range?.[0]
}

function positionAt(lines: LineCounter, offset: number): Position {
  const { line, col } = lines.linePos(offset)
  return { line, column: col }
}

function emptyTree(): Tree {
  return Object.create(null)
}
