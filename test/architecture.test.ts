/** The import table of the design: who may know whom. A change of the structure is a change of this file, on purpose. */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from '@jest/globals'

const SRC = fileURLToPath(new URL('../src', import.meta.url))

/** Rooms are folders of src/, or files that stand directly in it. Everything may import the seams (`types`, `http-messages`) and `errors`, except the libraries. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  'tls-cert-utils': [],
  types: ['tls-cert-utils', 'errors', 'http-messages', 'http-fields'],
  'http-messages': [],
  errors: [],
  slices: [],
  // The folder of package.json.
  process: ['..', 'log', 'refusals'],
  config: ['errors', 'slices'],
  'connection-notes': [],
  log: ['connection-notes', 'http-fields'],
  metrics: ['process', 'slices'],
  recorder: ['log', 'metrics'],
  'bounded-request': [],
  'http-fields': [],
  sockets: [],
  refusals: [],
  'file-watch': ['slices'],
  'serial-queue': [],
  refuse: ['http-fields'],
  gateway: [],
  listener: [
    'tls-cert-utils',
    'connection-notes',
    'process',
    'refusals',
    'sockets',
    'bounded-request',
    'http-fields',
    'slices',
  ],
  identity: ['tls-cert-utils', 'connection-notes', 'http-fields'],
  auth: ['tls-cert-utils', 'tokens', 'bounded-request', 'http-fields'],
  routing: ['slices', 'http-fields'],
  upstream: ['tls-cert-utils', 'process', 'sockets', 'http-fields'],
  store: [],
  plugins: ['tls-cert-utils', 'bounded-request', 'http-fields'],
  admin: ['sockets', 'log'],
  tokens: ['tls-cert-utils', 'connection-notes'],
  'whole-body': ['sockets'],
  'identity-api': ['auth', 'tokens', 'whole-body', 'http-fields'],
  registry: ['tls-cert-utils', 'whole-body', 'bounded-request', 'http-fields', 'slices', 'sockets'],
  runtime: [
    'slices',
    'config',
    'tls-cert-utils',
    'log',
    'metrics',
    'recorder',
    'refuse',
    'process',
    'refusals',
    'bounded-request',
    'sockets',
    'gateway',
    'listener',
    'identity',
    'auth',
    'routing',
    'upstream',
    'registry',
    'identity-api',
    'store',
    'plugins',
    'tokens',
  ],
  server: [
    'process',
    'file-watch',
    'serial-queue',
    'config',
    'runtime',
    'listener',
    'admin',
    'log',
    'gateway',
    'refuse',
    'metrics',
    'sockets',
  ],
  workers: [
    'process',
    'server',
    'slices',
    'runtime',
    'config',
    'admin',
    'file-watch',
    'serial-queue',
    'log',
    'metrics',
    'store',
    'listener',
    'tls-cert-utils',
  ],
  cli: [
    'process',
    'config',
    'gateway',
    'runtime',
    'server',
    'workers',
    'tls-cert-utils',
    'identity',
    'auth',
    'log',
    'metrics',
    'listener',
    'registry',
  ],
}
const EVERYWHERE = ['types', 'http-messages', 'errors']
const LIBRARIES = ['tls-cert-utils', 'errors', 'config']

const files = (readdirSync(SRC, { recursive: true }) as string[]).filter((name) => name.endsWith('.ts'))

function roomOf(file: string): string {
  return (file.split('/')[0] as string).replace(/\.ts$/, '')
}

function importsOf(file: string, pattern = /(?:from|import)\s*\(?\s*'(\.[^']+)'/g): string[] {
  const source = readFileSync(join(SRC, file), 'utf8')
  return [...source.matchAll(pattern)].map(([, path]) => relative(SRC, resolve(SRC, dirname(file), path as string)))
}

/** Those that are left of each file's imports when the types are gone. */
const codeOf = new Map(files.map((file) => [file, importsOf(file, /^(?:import|export) (?!type )[^']*'(\.[^']+)'/gm)]))

/** The files that lead from one back to itself; undefined where none do. */
function circleFrom(start: string, path: readonly string[] = [start], seen = new Set<string>()): string[] | undefined {
  const file = path.at(-1) as string
  if (seen.has(file)) return undefined
  seen.add(file)
  for (const next of codeOf.get(file) ?? []) {
    const circle = next === start ? [...path, start] : circleFrom(start, [...path, next], seen)
    if (circle) return circle
  }
  return undefined
}

test('every room has its row in the table', () => {
  expect([...new Set(files.map(roomOf))].sort()).toEqual(Object.keys(MAY_IMPORT).sort())
})

describe('imports point one way', () => {
  test.each(files)('%s', (file) => {
    const room = roomOf(file)
    const allowed = new Set([room, ...(MAY_IMPORT[room] ?? []), ...(LIBRARIES.includes(room) ? [] : EVERYWHERE)])
    expect(
      importsOf(file)
        .map(roomOf)
        .filter((other) => !allowed.has(other)),
    ).toEqual([])
  })
})

test('no row allows what its room does not use', () => {
  const done = new Set(files.flatMap((file) => importsOf(file).map((other) => `${roomOf(file)}: ${roomOf(other)}`)))
  const allowed = Object.entries(MAY_IMPORT).flatMap(([room, others]) => others.map((other) => `${room}: ${other}`))
  expect(allowed.filter((each) => !done.has(each))).toEqual([])
})

test('every relative import names a file that is there', () => {
  const known = new Set([...files, '../package.json'])
  expect(
    files.flatMap((file) =>
      importsOf(file)
        .filter((path) => !known.has(path))
        .map((path) => `${file}: ${path}`),
    ),
  ).toEqual([])
})

test('no file needs itself in a circle: which of them is run first would decide what the others find', () => {
  expect(files.flatMap((file) => circleFrom(file)?.join(' -> ') ?? [])).toEqual([])
})

test('no room is called utils, common, core or helpers', () => {
  expect(files.filter((file) => /(^|\/)(utils?|common|core|helpers?|misc)(\.ts|\/)/.test(file))).toEqual([])
})
