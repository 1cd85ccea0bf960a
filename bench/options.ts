/** The command line of the bench. */
import { parseArgs } from 'node:util'
import type { Job } from './gateway.ts'
import { gateways } from './gateways.ts'
import type { Sizes } from './measure.ts'

const FULL: Sizes = {
  requests: 30_000,
  sliceSeconds: 5,
  handshakes: 2_000,
  bodies: 5,
  idleConnections: 500,
  heldConnections: 20_000,
  latencySeconds: 10,
  users: 1_000_000,
}
const QUICK: Sizes = {
  requests: 9_000,
  sliceSeconds: 1,
  handshakes: 300,
  bodies: 1,
  idleConnections: 200,
  heldConnections: 1_000,
  latencySeconds: 2,
  users: 20_000,
}

/** What is measured, in the order in which it is: memory is read before any load has grown it. */
export const ROWS = [
  ...([
    'start',
    'idle',
    'requests',
    'latency',
    'posts',
    'answers',
    'handshakes',
    'resumed',
    'crowd',
    'past',
    'bodies',
    'real',
    'growth',
    'names',
    'mapping',
    'users',
  ] as const),
  ...(['workers', 'many'] as const),
] as const
export type Row = (typeof ROWS)[number]

/** What the gateways are set up for while a row is measured; `bare` where nothing stands here. */
export const JOBS: Readonly<Partial<Record<Row, readonly Job[]>>> = {
  real: ['real'],
  growth: ['ten-routes', '10000-routes'],
  names: ['ten-names', '10000-names'],
  mapping: ['mapping'],
  users: ['mapping'],
  workers: ['bare', 'two-workers'],
  many: ['many'],
}

export interface Options {
  /** Names of gateways. */
  readonly only: readonly string[]
  readonly rows: readonly Row[]
  readonly rounds: number
  readonly sizes: Sizes
  readonly json: string | undefined
  readonly svg: string | undefined
  /** Compare with the result that was committed last, and write nothing. */
  readonly check: boolean
}

/** @param results where the result and the picture of a whole run go */
export function readOptions(results: { readonly json: string; readonly svg: string }): Options {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      quick: { type: 'boolean', default: false },
      check: { type: 'boolean', default: false },
      only: { type: 'string' },
      rounds: { type: 'string' },
      json: { type: 'string' },
      svg: { type: 'string' },
    },
  })
  const rounds = Number(values.rounds ?? (values.quick ? 1 : 3))
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > 100) throw new Error('--rounds wants a number from 1 to 100')
  const names = gateways.map(({ name }) => name)
  const only = values.check ? 'nginx,sallyport' : names.join()
  const whole = !values.quick && !values.check && values.only === undefined && positionals.length === 0
  return {
    only: listOf('--only', (values.only ?? only).split(','), names),
    rows: positionals.length === 0 ? ROWS : listOf('npm run bench -- NAME', positionals, ROWS),
    rounds,
    sizes: values.quick ? QUICK : FULL,
    json: values.json ?? (whole ? results.json : undefined),
    svg: values.svg ?? (whole ? results.svg : undefined),
    check: values.check,
  }
}

function listOf<T extends string>(option: string, given: readonly string[], known: readonly T[]): T[] {
  const names = given.map((name) => name.trim() as T)
  const unknown = names.find((name) => !known.includes(name))
  if (unknown !== undefined) throw new Error(`${option}: no "${unknown}"; there is ${known.join(', ')}`)
  return known.filter((name) => names.includes(name))
}
