/** The schema as a list of settings: for the environment's names and the references. */
import * as z from 'zod'
import { pathTo } from '../place.ts'
import { type Field, fields } from './field.ts'
import { unwrap } from './unwrap.ts'

export interface Setting {
  /** With `[]` for any index, as `listeners[].servers[].ssl_crl`. */
  readonly path: string
  readonly key: string
  readonly field: Field
  readonly shape: 'value' | 'list' | 'map'
  readonly required: boolean
  /** As a user would write it; undefined without. */
  readonly fallback: unknown
}

export interface Block {
  readonly path: string
  readonly key: string
  readonly about: string
  readonly isList: boolean
  /** Leaving it out means something else than leaving it empty. */
  readonly isOptional: boolean
  readonly settings: readonly Setting[]
  readonly blocks: readonly Block[]
}

/** The settings and blocks beneath an object schema. */
export function blockOf(schema: z.ZodType, path = '', key = ''): Block {
  const outer = unwrap(schema).inner
  const isList = outer instanceof z.ZodArray
  const object = isList ? unwrap(outer.element as z.ZodType).inner : outer
  const about = schema.description ?? outer.description ?? ''
  const settings: Setting[] = []
  const blocks: Block[] = []
  const inside = isList ? `${path}[]` : path
  const shape: Record<string, z.ZodType> =
    object instanceof z.ZodObject ? (object.shape as Record<string, z.ZodType>) : {}
  for (const [name, each] of Object.entries(shape)) {
    const field = fields.get(each)
    if (field) settings.push(settingOf(each, field, pathTo(inside, name), name))
    else blocks.push(blockOf(each, pathTo(inside, name), name))
  }
  return { path, key, about, isList, isOptional: schema instanceof z.ZodOptional, settings, blocks }
}

function settingOf(schema: z.ZodType, field: Field, path: string, key: string): Setting {
  const { inner, fallback } = unwrap(schema)
  const shape = inner instanceof z.ZodArray ? 'list' : inner instanceof z.ZodRecord ? 'map' : 'value'
  return { path, key, field, shape, fallback, required: inner === schema }
}

/** Every setting beneath a block, in the order of the schema. */
export function* allSettings(block: Block): Generator<Setting> {
  yield* block.settings
  for (const inner of block.blocks) yield* allSettings(inner)
}
