/**
 * YAML as configurations are mostly written: maps and lists on lines of their own or in brackets, with texts that fit on one line or stand behind `|`. Everything else is left to
 * the YAML library, and so is each file with anything wrong in it; ten thousand routes are read in a tenth of the time that the library takes.
 */
import type { Slices } from '../slices.ts'
import { pathTo } from './place.ts'
import { plainScalar } from './plain-scalar.ts'
import { Spots } from './spots.ts'

export interface PlainYaml {
  readonly tree: Record<string, unknown>
  readonly spots: Spots
}

/** Replaces the variables in a text value. */
type Expand = (text: string, path: string) => unknown

// Beyond these the library judges, and what reads its document.
const DEEPEST = 30
const MOST_VALUES = 500_000
const LONGEST_KEY = 200

/** What is seen is text, in all scripts; whatever else may be a line break, a blank or no character at all is the library's. */
const UNUSUAL = /[^\n\x20-\x7e\p{L}\p{M}\p{N}\p{P}\p{S}]/u
/** No indicator, and not the end of a document. */
const FIRST = String.raw`(?!\.\.\.)[\w/.~^$+(;=\p{L}]`
const BLOCK_TEXT = new RegExp(String.raw`${FIRST}(?:[^\n:#]|:(?=\S))*`, 'uy')
const FLOW_TEXT = new RegExp(String.raw`${FIRST}(?:[^\n:#,[\]{}]|:(?=[^\s,[\]{}]))*`, 'uy')
/** What stands before the first line of a block of text. */
const BLOCK_HEAD = /\| *\n( +)(?=[^ \n])/y
const QUOTED = /"([^"\\\n]*)"|'([^'\n]*)'(?!')/y
const KEY = /([A-Za-z_][\w./-]*):(?=[ \n])/y
const QUOTED_KEY = /(?:"([^"\\\n]*)"|'([^'\n]*)'):/y

class NotPlain extends Error {}

/** Undefined where the file is the library's. */
export function* readPlainYaml(text: string, expand: Expand): Slices<PlainYaml | undefined> {
  if (UNUSUAL.test(text)) return undefined
  try {
    return yield* new PlainReader(text).read(expand)
  } catch (error) {
    if (!(error instanceof NotPlain)) throw error
    return undefined
  }
}

class PlainReader {
  readonly #text: string
  readonly #spots = new Spots()
  /** Texts with variables, which are replaced when all else is known to be well. */
  readonly #expandable: { readonly inside: Record<string, unknown>; readonly key: string; readonly path: string }[] = []
  #values = 0
  #at = 0
  /** How far the line is indented whose first character stands at `#at`; -1 behind the last. */
  #indent = -1

  constructor(text: string) {
    this.#text = text
  }

  *read(expand: Expand): Slices<PlainYaml> {
    this.#toNextLine()
    const tree = yield* this.#next() === '{' ? this.#wholeFlow() : this.#map(0, '', 0)
    // A line that is indented in any other way than those before it ends everything.
    if (this.#indent !== -1) throw new NotPlain()
    for (const { inside, key, path } of this.#expandable) inside[key] = expand(inside[key] as string, path)
    return { tree, spots: this.#spots }
  }

  /** A file in JSON's manner. */
  *#wholeFlow(): Slices<Record<string, unknown>> {
    const tree = yield* this.#flowMap(-1, '', 0)
    this.#endLine()
    return tree
  }

  *#map(indent: number, path: string, depth: number): Slices<Record<string, unknown>> {
    const tree: Record<string, unknown> = Object.create(null)
    while (this.#indent === indent) {
      const start = this.#at
      const key = this.#key() ?? this.#quotedKey(/[ \n]/)
      const inner = pathTo(path, key)
      const spot = this.#begin(start, depth, key, tree)
      this.#set(tree, key, yield* this.#mapValue(indent, inner, depth + 1), inner)
      this.#spots.end(spot)
      yield
    }
    return tree
  }

  /** What follows a key and its colon. */
  *#mapValue(indent: number, path: string, depth: number): Slices<unknown> {
    this.#skipBlanks()
    const next = this.#next()
    if (next !== '\n' && next !== '#' && next !== '') return yield* this.#restOfLine(indent, path, depth)
    this.#endLine()
    const isList = this.#isItem()
    if (isList && this.#indent >= indent) return yield* this.#list(this.#indent, path, depth)
    return this.#indent > indent ? yield* this.#map(this.#indent, path, depth) : null
  }

  *#list(indent: number, path: string, depth: number): Slices<unknown[]> {
    const items: unknown[] = []
    while (this.#indent === indent && this.#isItem()) {
      this.#toItem(indent)
      const inner = pathTo(path, items.length)
      const spot = this.#begin(this.#at, depth)
      this.#set(items, items.length, yield* this.#item(indent, inner, depth + 1), inner)
      this.#spots.end(spot)
      yield
    }
    return items
  }

  /** Behind the dash, on the same line or a deeper one. `#indent` is then the column, where the further keys of a map stand as well. */
  #toItem(indent: number): void {
    const line = this.#at - indent
    this.#at++
    this.#skipBlanks()
    this.#indent = this.#at - line
    const next = this.#next()
    if (next !== '\n' && next !== '#' && next !== '') return
    this.#endLine()
    if (this.#indent <= indent || !this.#isKey()) throw new NotPlain()
  }

  *#item(indent: number, path: string, depth: number): Slices<unknown> {
    return yield* this.#isKey() ? this.#map(this.#indent, path, depth) : this.#restOfLine(indent, path, depth)
  }

  *#restOfLine(indent: number, path: string, depth: number): Slices<unknown> {
    if (this.#next() === '|') return this.#blockText(indent)
    const value = yield* this.#value(BLOCK_TEXT, indent, path, depth)
    this.#endLine()
    return value
  }

  /** As PEM stands in a file: on deeper lines, with one line break at the end. `#at` is then on the next line of something else. */
  #blockText(indent: number): string {
    const [, margin = ''] = this.#take(BLOCK_HEAD) ?? []
    if (margin.length <= indent) throw new NotPlain()
    this.#at -= margin.length
    const lines: string[] = []
    for (let end = 0; this.#at < this.#text.length; this.#at = end + 1) {
      end = this.#text.indexOf('\n', this.#at)
      const line = this.#text.slice(this.#at, end)
      if (line !== '' && !line.startsWith(margin)) break
      if (end === -1 || /^ +$/.test(line)) throw new NotPlain()
      lines.push(line.slice(margin.length))
    }
    this.#toNextLine()
    return `${lines.join('\n').replace(/\n+$/, '')}\n`
  }

  *#value(pattern: RegExp, indent: number, path: string, depth: number): Slices<unknown> {
    const next = this.#next()
    if (next === '[') return yield* this.#flowList(indent, path, depth)
    if (next === '{') return yield* this.#flowMap(indent, path, depth)
    const quoted = this.#take(QUOTED)
    if (quoted) return quoted[1] ?? quoted[2]
    const [text = ''] = this.#take(pattern) ?? []
    const value = plainScalar(text.trimEnd())
    if (value === undefined) throw new NotPlain()
    return value
  }

  *#flowList(indent: number, path: string, depth: number): Slices<unknown[]> {
    const items: unknown[] = []
    for (this.#open(indent); this.#next() !== ']'; this.#comma(']', indent)) {
      const inner = pathTo(path, items.length)
      const spot = this.#begin(this.#at, depth)
      this.#set(items, items.length, yield* this.#value(FLOW_TEXT, indent, inner, depth + 1), inner)
      this.#spots.end(spot)
      yield
    }
    this.#at++
    return items
  }

  *#flowMap(indent: number, path: string, depth: number): Slices<Record<string, unknown>> {
    const tree: Record<string, unknown> = Object.create(null)
    for (this.#open(indent); this.#next() !== '}'; this.#comma('}', indent)) {
      const start = this.#at
      const key = this.#key() ?? this.#quotedKey(/./s)
      this.#skipBlanks()
      const inner = pathTo(path, key)
      const spot = this.#begin(start, depth, key, tree)
      this.#set(tree, key, yield* this.#value(FLOW_TEXT, indent, inner, depth + 1), inner)
      this.#spots.end(spot)
    }
    this.#at++
    return tree
  }

  #open(indent: number): void {
    this.#at++
    this.#skipFlowBlanks(indent)
  }

  #comma(end: string, indent: number): void {
    this.#skipFlowBlanks(indent)
    if (this.#next() === ',') this.#open(indent)
    else if (this.#next() !== end) throw new NotPlain()
  }

  #begin(offset: number, depth: number, key?: string, inside?: Record<string, unknown>): number {
    if (++this.#values > MOST_VALUES || depth > DEEPEST) throw new NotPlain()
    // A key that stands there twice is a mistake, and << means another map.
    if (key !== undefined && inside && (key in inside || key === '<<')) throw new NotPlain()
    return this.#spots.begin(offset, key)
  }

  #set(inside: object, key: string | number, value: unknown, path: string): void {
    const target = inside as Record<string, unknown>
    target[key] = value
    if (typeof value === 'string' && value.includes('${'))
      this.#expandable.push({ inside: target, key: `${key}`, path })
  }

  #key(): string | undefined {
    const key = this.#take(KEY)?.[1]
    if (key !== undefined && (key.length > LONGEST_KEY || typeof plainScalar(key) !== 'string')) throw new NotPlain()
    return key
  }

  #quotedKey(next: RegExp): string {
    const found = this.#take(QUOTED_KEY)
    const key = found?.[1] ?? found?.[2]
    if (!key || key.length > LONGEST_KEY || !next.test(this.#next())) throw new NotPlain()
    return key
  }

  #take(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#at
    const found = pattern.exec(this.#text)
    if (found) this.#at = pattern.lastIndex
    return found
  }

  /** Empty at the end. */
  #next(): string {
    return this.#text.charAt(this.#at)
  }

  #isItem(): boolean {
    return this.#next() === '-' && /[ \n]/.test(this.#text.charAt(this.#at + 1))
  }

  #isKey(): boolean {
    KEY.lastIndex = QUOTED_KEY.lastIndex = this.#at
    return KEY.test(this.#text) || QUOTED_KEY.test(this.#text)
  }

  #skipBlanks(): void {
    while (this.#next() === ' ') this.#at++
  }

  /** Nothing but a comment may follow on the line. */
  #endLine(): void {
    this.#skipBlanks()
    this.#skipComment()
    if (this.#next() !== '\n' && this.#next() !== '') throw new NotPlain()
    this.#at++
    this.#toNextLine()
  }

  #skipComment(): void {
    if (this.#next() !== '#') return
    if (!/[ \n]/.test(this.#text.charAt(this.#at - 1))) throw new NotPlain()
    const end = this.#text.indexOf('\n', this.#at)
    this.#at = end === -1 ? this.#text.length : end
  }

  /** The first that holds anything but a comment. `#at` stands where a line begins. */
  #toNextLine(): void {
    for (;;) {
      const start = this.#at
      this.#skipBlanks()
      const next = this.#next()
      if (next !== '\n' && next !== '#') {
        this.#indent = next === '' ? -1 : this.#at - start
        return
      }
      const end = this.#text.indexOf('\n', this.#at)
      this.#at = end === -1 ? this.#text.length : end + 1
    }
  }

  /** Within brackets, where further lines must stand deeper than what they belong to. */
  #skipFlowBlanks(indent: number): void {
    this.#skipBlanks()
    this.#skipComment()
    if (this.#next() !== '\n') return
    this.#at++
    this.#toNextLine()
    if (this.#indent <= indent) throw new NotPlain()
  }
}
