/** Declares settings: type, default, meaning and check in one place. The loader, the JSON Schema and the references all read this. */
import * as z from 'zod'

/** A JSON Schema fragment. */
export type JsonSchema = Record<string, unknown>

/** A type of value: how people and editors see it, and how it is parsed. */
export interface Kind<T> {
  /** Completes "expected …". */
  readonly expected: string
  readonly json: JsonSchema
  /** Throws `Unfit` for an invalid value. */
  parse(value: unknown): T
  /** A PEM is read from its file by the loader, which knows the folder and the setting; `parse` only sees the result. */
  readonly pem?: 'pem' | 'pems' | 'crl'
  /** Whether `${…}` belongs to the setting itself and is no variable of the environment. */
  readonly verbatim?: true
  /** All words that it accepts, for suggestions. */
  readonly words?: readonly string[]
}

/** An invalid value; `message` says what to write instead and never repeats the value. */
export class Unfit extends Error {}

/** What is known about a setting besides its zod type. */
export interface Field {
  readonly about: string
  readonly kind: Kind<unknown>
  /** The environment variables that set it, the one to prefer first; each has a `_FILE` twin. */
  readonly env: readonly string[]
  /** Removed from the environment once read, and never shown. */
  readonly secret: boolean
  /** Describes what applies where nothing is written, if no value in YAML can say it. */
  readonly otherwise?: string
}

export const fields = z.registry<Field>()

interface Options {
  readonly about: string
  readonly env?: string | readonly string[]
  readonly secret?: true
  readonly otherwise?: string
}

type Leaf<T> = z.ZodType<T, unknown>

function leaf<T>(kind: Kind<T>): Leaf<T> {
  const read = z.transform<unknown, T>((value, context) => {
    try {
      return kind.parse(value)
    } catch (error) {
      if (!(error instanceof Unfit)) throw error
      const message = error.message || (unquoted(kind, value) ?? `expected ${kind.expected}`)
      context.issues.push({ code: 'custom', message, input: value })
      return z.NEVER
    }
  })
  return read.meta(kind.json)
}

/** What YAML takes for a number or a boolean, as a password of digits, where its text would do; undefined for anything else. */
function unquoted(kind: Kind<unknown>, value: unknown): string | undefined {
  if (typeof value !== 'number' && typeof value !== 'boolean') return undefined
  // A long number in all its digits, though not those that were written.
  const text = Number.isInteger(value) ? String(BigInt(value)) : String(value)
  try {
    kind.parse(text)
  } catch {
    return undefined
  }
  return `is ${typeof value === 'number' ? 'a number' : 'true or false'} without quotes; write it in quotes`
}

function declare<S extends z.ZodType>(schema: S, kind: Kind<unknown>, options: Options): S {
  const { about, env = [], secret = false, otherwise } = options
  const described = schema.describe(about)
  fields.add(described, {
    about,
    kind,
    env: typeof env === 'string' ? [env] : env,
    secret,
    ...(otherwise !== undefined && { otherwise }),
  })
  return described
}

/** A setting with one value. `default` is written as a user would write it. */
export function field<T>(kind: Kind<T>, options: Options & { default: unknown }): z.ZodPrefault<Leaf<T>>
export function field<T>(kind: Kind<T>, options: Options & { required: true }): Leaf<T>
export function field<T>(kind: Kind<T>, options: Options): z.ZodOptional<Leaf<T>>
export function field<T>(kind: Kind<T>, options: Options & { default?: unknown; required?: true }): z.ZodType {
  const value = leaf(kind)
  if (options.default !== undefined) return declare(value.prefault(options.default), kind, options)
  return declare(options.required ? value : value.optional(), kind, options)
}

/** A setting with a list of values; in the environment they are separated by commas. */
export function list<T>(
  kind: Kind<T>,
  options: Options & { default: readonly unknown[] },
): z.ZodPrefault<z.ZodArray<Leaf<T>>>
export function list<T>(kind: Kind<T>, options: Options): z.ZodOptional<z.ZodArray<Leaf<T>>>
export function list<T>(kind: Kind<T>, options: Options & { default?: readonly unknown[] }): z.ZodType {
  const values = z.array(leaf(kind))
  if (options.default !== undefined) return declare(values.prefault([...options.default]), kind, options)
  return declare(values.optional(), kind, options)
}

/** A setting whose keys the user chooses. */
export function map<T>(kind: Kind<T>, options: Options & { default: Record<string, unknown> }) {
  return declare(z.record(z.string(), leaf(kind)).prefault(options.default), kind, options)
}

/** A setting whose keys the user chooses, each with a list of values. */
export function mapOfLists<T>(kind: Kind<T>, options: Options) {
  return declare(z.record(z.string(), z.array(leaf(kind))).optional(), kind, options)
}

/** Where an entity stands in the configuration, such as `services[0].routes[1]`; the loader adds it to every object of a list. */
export interface Located {
  readonly at: string
}

/** The schemas of Kong's entities: there a value of null means "not set". */
export const kongEntities = z.registry<{ readonly kong: true }>()

/** A block of settings with nginx's words, or ours. */
export function block<S extends z.core.$ZodLooseShape>(about: string, shape: S) {
  return z.strictObject(shape).describe(about)
}

/** Blocks of NATS: their keys count in any case, and it has words of its own for one that nobody knows. */
export const natsBlocks = z.registry<{ unknown(key: string): string }>()

/** @param unknown the message for a key that the block does not know */
export function natsBlock<S extends z.core.$ZodLooseShape>(about: string, shape: S, unknown: (key: string) => string) {
  const schema = block(about, shape)
  natsBlocks.add(schema, { unknown })
  return schema
}

/** One of Kong's entities, with the fields that all of them share. */
export function entity<S extends z.core.$ZodLooseShape>(about: string, shape: S) {
  const schema = z.strictObject({ ...shape, ...kongFields }).describe(about)
  kongEntities.add(schema, { kong: true })
  return schema
}

/** A value that is not read. */
export const anything: Kind<unknown> = { expected: 'anything', json: {}, parse: (value) => value }
const identifier: Kind<string> = {
  expected: 'an id in quotes',
  json: { type: 'string' },
  parse(value) {
    if (typeof value === 'string' && value !== '') return value
    throw new Unfit('')
  },
}
const seconds: Kind<number> = {
  expected: 'seconds since 1970',
  json: { type: 'number' },
  parse(value) {
    if (typeof value === 'number' && value >= 0) return value
    throw new Unfit('')
  },
}

const kongFields = {
  id: field(identifier, { about: 'An identifier that references may use; any text, a UUID in Kong.' }),
  tags: list(identifier, { about: 'Labels; accepted and not used.' }),
  created_at: field(seconds, { about: 'When it was made. Of two routes that match equally well, the older one wins.' }),
  updated_at: field(seconds, { about: 'Accepted and not used.' }),
  _comment: field(anything, { about: 'A remark.' }),
  _ignore: field(anything, { about: 'Anything; not read.' }),
}
