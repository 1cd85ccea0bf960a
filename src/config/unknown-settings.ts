/** The message for a setting that does not exist: where it belongs, the equivalent of a word of nginx, Kong or NATS, or a similar name. */
import type * as z from 'zod'
import { KONG_PLUGINS, KONG_WORDS, OTHER_PLUGIN } from './foreign/from-kong.ts'
import { NATS_AUTHORIZATION_WORDS, NATS_WORDS } from './foreign/from-nats.ts'
import { NGINX_WORDS, type Remedies } from './foreign/from-nginx.ts'
import { remedyOfOthers } from './foreign/from-others.ts'
import { changesNothing, isDisabled } from './foreign/kong-defaults.ts'
import { didYouMean } from './nearest.ts'
import { pathTo } from './place.ts'
import { kongEntities, natsBlocks } from './schema/field.ts'
import { type Block, blockOf } from './schema/settings.ts'

/** Comparing takes time, and a file full of unknown names is no file of ours. */
const MOST_SUGGESTIONS = 100

const NGINX = byWord(Object.values(NGINX_WORDS).flat())
const KONG = byWord(KONG_WORDS)
const PLUGINS = byWord(KONG_PLUGINS)
const NATS = byWord(NATS_WORDS)
const NATS_AUTHORIZATION = byWord(NATS_AUTHORIZATION_WORDS)

/** Blocks that stand for one of nginx's. */
const OF_NGINX = new Set([
  '',
  'listeners[]',
  'listeners[].servers[]',
  'proxy',
  'services[]',
  'services[].routes[]',
  'routes[]',
  'upstreams[]',
  'upstreams[].targets[]',
  'targets[]',
])

const IN_AUTHORIZATION = new Set(['listeners[].servers[].authorization', 'listeners[].servers[].authorization.users[]'])

function byWord(remedies: Remedies): { get(word: string): string | undefined } {
  const pairs = remedies.flatMap(([words, remedy]) => words.split(' ').map((word) => [word, remedy] as const))
  const exact = new Map(pairs)
  const families = pairs
    .filter(([word]) => word.endsWith('*'))
    .map(([word, remedy]) => [word.slice(0, -1), remedy] as const)
  return { get: (word) => exact.get(word) ?? families.find(([start]) => word.startsWith(start))?.[1] }
}

/** What to write in place of a word of nginx's. */
export function remedyOfNginx(word: string): string | undefined {
  return NGINX.get(word)
}

/** What to write in place of a word of kong.yml or kong.conf. */
export function remedyOfKong(word: string): string | undefined {
  return KONG.get(word)
}

interface Where {
  readonly schema: z.ZodObject
  readonly path: string
}

export class UnknownSettings {
  #suggestions = 0
  readonly #listed = new Set<z.ZodObject>()
  #places: ReadonlyMap<string, readonly string[]> | undefined
  readonly #root: z.ZodType
  readonly #report: (path: string, message: string) => void

  constructor(root: z.ZodType, report: (path: string, message: string) => void) {
    this.#root = root
    this.#report = report
  }

  /** Reports that `schema`, at `path`, has no setting `key`, unless it changes nothing in Kong either. */
  report(key: string, value: unknown, { schema, path }: Where): void {
    const inner = pathTo(path, key)
    const isOfKong = ofKong({ schema, path }) && (key === 'plugins' || KONG.get(key) !== undefined)
    if (isOfKong && changesNothing(key, value)) return
    if (key === 'plugins' && Array.isArray(value) && value.length > 0 && !natsBlocks.has(schema)) {
      for (const [index, plugin] of value.entries())
        if (!isDisabled(plugin)) this.#report(pathTo(inner, index), aboutPlugin(plugin))
    } else this.#report(inner, this.#about(key, { schema, path }))
  }

  #about(key: string, { schema, path }: Where): string {
    const known = Object.keys(schema.shape)
    const nats = natsBlocks.get(schema)
    if (nats) return `${nats.unknown(key)}; known: ${known.join(', ')}`
    if (key === 'plugins') return 'is of Kong, whose plugins are not read; remove it'
    const foreign = foreignWord(key, { schema, path })
    if (foreign !== undefined) return foreign
    if (key.startsWith('x-')) return 'is no setting here; what anchors (&) name may stand in _ignore, at the top level'
    const meant = this.#suggestions++ < MOST_SUGGESTIONS ? didYouMean(key, known) : ''
    const places = meant ? [] : this.#placesOf(key)
    if (places.length > 0) return `is no setting here; it stands in ${places.join(', ')}`
    if (meant || this.#listed.has(schema)) return `is no setting here${meant}`
    this.#listed.add(schema)
    return `is no setting here; known: ${known.join(', ')}`
  }

  /** The blocks with a setting of this name, if the name is more than a common word such as `user`. */
  #placesOf(key: string): readonly string[] {
    if (!key.includes('_')) return []
    this.#places ??= placesByKey(blockOf(this.#root))
    return this.#places.get(key) ?? []
  }
}

/** Only where nginx, Kong or NATS have it: `user` is a directive of nginx, but also a likely mistake in a rule. */
function foreignWord(key: string, { schema, path }: Where): string | undefined {
  // Lines such as `map $ssl_client_s_dn $user` and `location /api` are copied as they are in an nginx.conf.
  const directive = key.split(' ', 1)[0] as string
  const block = path.replaceAll(/\[\d+\]/g, '[]')
  if (directive === 'server' && block.endsWith('targets[]')) return "is nginx's; write target, and weight beside it"
  const nginx = OF_NGINX.has(block) ? NGINX.get(directive) : undefined
  if (nginx !== undefined) return `is nginx's; ${nginx}`
  const kong = ofKong({ schema, path }) ? KONG.get(key) : undefined
  if (kong !== undefined) return `is Kong's; ${kong}`
  const nats = (IN_AUTHORIZATION.has(block) ? NATS_AUTHORIZATION : path === '' ? NATS : undefined)?.get(key)
  if (nats !== undefined) return `is NATS's; ${nats}`
  return path === '' ? remedyOfOthers(key) : undefined
}

function ofKong({ schema, path }: Where): boolean {
  return path === '' || kongEntities.has(schema)
}

function aboutPlugin(plugin: unknown): string {
  const name = typeof plugin === 'object' && plugin !== null && 'name' in plugin ? plugin.name : undefined
  if (typeof name !== 'string' || !/^[\w-]{1,64}$/.test(name))
    return 'is of Kong, whose plugins are not read; remove it'
  return `is Kong's plugin ${name}; ${PLUGINS.get(name) ?? OTHER_PLUGIN}`
}

function placesByKey(root: Block): ReadonlyMap<string, readonly string[]> {
  const places = new Map<string, string[]>()
  const add = (key: string, place: string) => {
    const found = places.get(key)
    if (found) found.push(place)
    else places.set(key, [place])
  }
  const visit = (block: Block) => {
    const place = block.path === '' ? 'the top level' : block.isList ? `${block.path}[]` : block.path
    for (const { key } of block.settings) add(key, place)
    for (const inner of block.blocks) {
      add(inner.key, place)
      visit(inner)
    }
  }
  visit(root)
  return places
}
