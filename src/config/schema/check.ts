/** Checks values against the schema: reports every problem, and returns what could be read in spite of them. */
import * as z from 'zod'
import type { Slices } from '../../slices.ts'
import { NO_VAULT, VAULT_REFERENCE } from '../foreign/from-kong.ts'
import { didYouMean } from '../nearest.ts'
import { openPem, type PemReader } from '../pem.ts'
import { pathTo } from '../place.ts'
import { UnknownSettings } from '../unknown-settings.ts'
import { openCrl } from './crl.ts'
import { type Field, fields, kongEntities, natsBlocks, Unfit } from './field.ts'
import { unwrap } from './unwrap.ts'

export interface CheckContext {
  report(path: string, message: string): void
  /** Whether a message may show the value at `path`: not if it came from outside the file, where secrets come from. */
  mayShow(path: string): boolean
  readonly pems: PemReader
  /** Objects with a setting that could not be read: further checks of these would only find consequences. */
  readonly broken: WeakSet<object>
}

const WRONG = Symbol('wrong')
/** Items of a list with one value each that are checked in one go: a pause costs all generators that wait for this one. */
const LEAVES = 32

/** Reads `value` according to `schema` and reports what is wrong. The result is complete only if nothing was reported. */
export function* checkAgainst<S extends z.ZodType>(
  schema: S,
  value: unknown,
  context: CheckContext,
): Slices<z.output<S>> {
  return (yield* new Checker(context, schema).value(declarationOf(schema), value, '', false)) as z.output<S>
}

class Checker {
  readonly #context: CheckContext
  readonly #unknown: UnknownSettings

  constructor(context: CheckContext, root: z.ZodType) {
    this.#context = context
    this.#unknown = new UnknownSettings(root, context.report)
  }

  *value(declared: Declaration, written: unknown, path: string, ofKong: boolean): Slices<unknown> {
    const { inner, field } = declared
    if (!declared.isBlock) return this.#single(declared, written, path, ofKong)
    // An empty block is common where its lines are commented out. An empty value is more likely a mistake, except in Kong's entities.
    const value = written ?? declared.fallback
    if (value === undefined) return this.#absent(declared, path)
    if (inner instanceof z.ZodObject) return yield* this.#object(inner, value, path)
    if (inner instanceof z.ZodArray) return yield* this.#array(inner, field, value, path, ofKong)
    return yield* this.#record(inner as z.ZodRecord, field, value, path)
  }

  #single(declared: Declaration, written: unknown, path: string, ofKong: boolean): unknown {
    const given = written === null && ofKong ? undefined : written
    const value = given === undefined ? declared.fallback : given
    if (value === undefined) return this.#absent(declared, path)
    return this.#leaf(declared.inner, declared.field, value, path)
  }

  #absent({ isOptional, field }: Declaration, path: string): unknown {
    if (isOptional) return undefined
    return this.#wrong(path, `is missing; expected ${field?.kind.expected ?? 'a value'}`)
  }

  *#object(schema: z.ZodObject, written: unknown, path: string): Slices<unknown> {
    if (!isMap(written)) return yield* this.#noBlock(schema, path)
    const value = natsBlocks.has(schema) ? this.#inLowerCase(written, schema, path) : written
    const { ofKong, settings } = declarationOf(schema)
    const result: Record<string, unknown> = path.endsWith(']') ? { at: path } : {}
    for (const key of Object.keys(value)) {
      if (!settings.has(key)) this.#unknown.report(key, value[key], { schema, path })
    }
    for (const [key, declared] of settings) {
      const given = value[key]
      let found: unknown
      if (given === undefined && declared.standard) found = declared.standard.value
      else if (!declared.isBlock) found = this.#single(declared, given, pathTo(path, key), ofKong)
      else found = yield* this.value(declared, given, pathTo(path, key), ofKong)
      if (found === WRONG) this.#context.broken.add(result)
      else if (found !== undefined) result[key] = found
    }
    return result
  }

  #inLowerCase(value: Record<string, unknown>, { shape }: z.ZodObject, path: string): Record<string, unknown> {
    const result: Record<string, unknown> = Object.create(null)
    for (const [key, each] of Object.entries(value)) {
      const name = Object.hasOwn(shape, key.toLowerCase()) ? key.toLowerCase() : key
      if (name in result) this.#context.report(pathTo(path, key), 'stands here twice, in another case; keep one')
      result[name] = each
    }
    return result
  }

  /** In place of a malformed block, returns its defaults, so that the rest can be checked; in place of an item of a list, nothing. */
  *#noBlock(schema: z.ZodObject, path: string): Slices<unknown> {
    this.#wrong(path, `expected a map with settings such as ${namesIn(schema)}`)
    return path === '' || path.endsWith(']') ? WRONG : yield* this.#object(schema, {}, path)
  }

  *#array(
    schema: z.ZodArray,
    field: Field | undefined,
    value: unknown,
    path: string,
    ofKong: boolean,
  ): Slices<unknown> {
    const element = schema.element as z.ZodType
    const declared = declarationOf(element)
    if (!Array.isArray(value)) {
      const of = field ? `, each ${field.kind.expected}` : ofMaps(element)
      const example = field ? this.#asList(value, field, path) : '[{ … }]'
      this.#wrong(path, `expected a list${of}: write ${example}, or one item a line after "- "`)
      return field ? WRONG : []
    }
    const items: unknown[] = []
    for (const item of value) {
      const inner = pathTo(path, items.length)
      if (field) items.push(this.#leaf(element, field, item, inner))
      else items.push(yield* this.value(declared, item ?? null, inner, ofKong))
      if (!field || items.length % LEAVES === 0) yield
    }
    if (!field) return items.filter((item) => item !== WRONG)
    return items.includes(WRONG) ? WRONG : items
  }

  *#record(schema: z.ZodRecord, field: Field | undefined, value: unknown, path: string): Slices<unknown> {
    if (!isMap(value)) return this.#wrong(path, 'expected a map with lines such as "Name: value"')
    const values = schema.valueType as z.ZodType
    const entries: [key: string, value: unknown][] = []
    for (const [key, each] of Object.entries(value)) {
      const inner = pathTo(path, key)
      const read =
        values instanceof z.ZodArray
          ? yield* this.#array(values, field, each, inner, false)
          : this.#leaf(values, field, each, inner)
      entries.push([key, read])
    }
    const sound = entries.filter(([, each]) => each !== WRONG)
    return sound.length === 0 && entries.length > 0 ? WRONG : Object.fromEntries(sound)
  }

  #leaf(schema: z.ZodType, field: Field | undefined, value: unknown, path: string): unknown {
    if (value === null)
      return this.#wrong(path, `has no value; expected ${field?.kind.expected ?? 'one'}, or remove it`)
    if (typeof value === 'string' && VAULT_REFERENCE.test(value))
      return this.#wrong(path, `is a reference to a vault of Kong's: ${NO_VAULT}`)
    if (field?.kind.pem) return this.#pem(field, field.kind.pem, value, path)
    const parsed = schema.safeParse(value)
    if (parsed.success) return parsed.data
    const message = parsed.error.issues[0]?.message ?? 'is wrong'
    return this.#wrong(path, message.startsWith('expected') ? message + this.#shown(value, field, path) : message)
  }

  #pem(field: Field, kind: 'pem' | 'pems' | 'crl', value: unknown, path: string): unknown {
    const isList =
      kind !== 'pem' && Array.isArray(value) && value.length > 0 && value.every((each) => typeof each === 'string')
    if (typeof value !== 'string' && !isList)
      return this.#wrong(path, `expected ${field.kind.expected}${ofSeveral(value)}`)
    if (typeof value === 'string' && value.trim() === '')
      return this.#wrong(path, 'is empty; write a value or remove the setting')
    try {
      if (kind === 'crl') return openCrl(value as string | string[], path, this.#context.pems)
      if (kind === 'pem') return openPem(value as string, path, this.#context.pems)
      if (typeof value === 'string') return [openPem(value, path, this.#context.pems)]
      return (value as string[]).map((each, index) => openPem(each, pathTo(path, index), this.#context.pems))
    } catch (error) {
      if (!(error instanceof Unfit)) throw error
      return this.#wrong(path, error.message)
    }
  }

  /** The text as the list that was meant: nginx separates items by spaces. */
  #asList(value: unknown, field: Field | undefined, path: string): string {
    const mayShow = typeof value === 'string' && field && !field.secret && this.#context.mayShow(path)
    const items = mayShow && value.length <= 100 && /^[\w.:/ -]+$/.test(value) ? value.trim().split(/ +/) : ['a', 'b']
    return `[${items.join(', ')}]`
  }

  /** `, not "…"`, where it helps and cannot be a secret. */
  #shown(value: unknown, field: Field | undefined, path: string): string {
    if (typeof value === 'object') return Array.isArray(value) ? ', not a list' : ', not a map'
    if (field?.secret || !this.#context.mayShow(path)) return ''
    const text = String(value)
    if (text.length > 60 || !/^[\x20-\x7e]*$/.test(text)) return ''
    return `, not ${JSON.stringify(value)}${didYouMean(text, others(field?.kind.words))}`
  }

  #wrong(path: string, message: string): typeof WRONG {
    this.#context.report(path, message)
    return WRONG
  }
}

function ofSeveral(value: unknown): string {
  return Array.isArray(value) ? ', not a list; several PEM blocks may stand in one file' : ''
}

/** Enough to see what sort of thing is meant. */
const SOME_NAMES = 6

function namesIn({ shape }: z.ZodObject): string {
  return Object.keys(shape).slice(0, SOME_NAMES).join(', ')
}

function ofMaps(element: z.ZodType): string {
  const { inner } = declarationOf(element)
  return inner instanceof z.ZodObject ? ` of maps with settings such as ${namesIn(inner)}` : ''
}

/** If there is only one word, the message has it already. */
function others(words: readonly string[] = []): readonly string[] {
  return words.length > 1 ? words : []
}

interface Declaration {
  readonly inner: z.ZodType
  readonly fallback: unknown
  readonly field: Field | undefined
  readonly isOptional: boolean
  readonly isBlock: boolean
  readonly ofKong: boolean
  /** Of a map. */
  readonly settings: ReadonlyMap<string, Declaration>
  /** The value where nothing is written, for a setting whose default does not depend on its place: shared by all of ten thousand routes. */
  readonly standard: { readonly value: unknown } | undefined
}

const declarations = new WeakMap<z.ZodType, Declaration>()

/** What a schema says, looked up once: a file with 10,000 routes needs it a hundred thousand times, and zod computes it each time. */
function declarationOf(schema: z.ZodType): Declaration {
  const known = declarations.get(schema)
  if (known) return known
  const { inner, fallback } = unwrap(schema)
  const field = fields.get(schema)
  const isOptional = schema instanceof z.ZodOptional
  const settings = schema instanceof z.ZodObject ? Object.entries<z.ZodType>(schema.shape) : []
  const declared = {
    ...{ inner, fallback, field, isOptional },
    isBlock: inner instanceof z.ZodObject || inner instanceof z.ZodArray || inner instanceof z.ZodRecord,
    ofKong: kongEntities.has(schema),
    settings: new Map(settings.map(([key, each]) => [key, declarationOf(each)])),
    standard: standardOf(inner, fallback, field, isOptional),
  }
  declarations.set(schema, declared)
  return declared
}

function standardOf(inner: z.ZodType, fallback: unknown, field: Field | undefined, isOptional: boolean) {
  if (fallback === undefined) return isOptional ? { value: undefined } : undefined
  if (!field || field.kind.pem) return undefined
  const { success, data } = inner.safeParse(fallback)
  return success ? { value: Object.freeze(data) } : undefined
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
