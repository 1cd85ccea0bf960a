/** Whatever stands in the place of any value, a configuration is read or refused with a reason: a start must not end with a stack trace. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { parse } from 'yaml'
import { loadConfig } from '../../src/config/index.ts'
import fc from '../support/random.ts'
import { temporaryFolder } from '../unit/config/support.ts'

const GOLDEN = new URL('../golden/', import.meta.url).pathname
const folder = temporaryFolder()

/** The configurations of the golden tests, good ones and bad ones: together they have nearly every setting. */
const configurations: readonly object[] = readdirSync(GOLDEN)
  .filter((name) => name.endsWith('.golden'))
  .flatMap((name) => {
    try {
      const written: unknown = parse(readFileSync(join(GOLDEN, name), 'utf8').split(/^-{10}$/m)[0] ?? '', {
        logLevel: 'error',
      })
      return typeof written === 'object' && written !== null ? [written] : []
    } catch {
      // Some are no YAML, on purpose.
      return []
    }
  })

function* pathsOf(value: unknown, path: readonly string[] = []): Generator<readonly string[]> {
  if (typeof value !== 'object' || value === null) return
  for (const [key, each] of Object.entries(value)) {
    yield [...path, key]
    yield* pathsOf(each, [...path, key])
  }
}

function replaced(written: object, path: readonly string[], value: unknown): object {
  const copy: Record<string, unknown> = structuredClone(written) as Record<string, unknown>
  let at = copy
  for (const key of path.slice(0, -1)) at = at[key] as Record<string, unknown>
  at[path.at(-1) as string] = value
  return copy
}

test('a value of another kind in any place is read or refused, and nothing throws', () => {
  const places = configurations.flatMap((written) => [...pathsOf(written)].map((path) => ({ written, path })))
  const values = fc.constantFrom<unknown>(
    5,
    'x',
    '',
    true,
    null,
    [],
    {},
    [null],
    [5],
    [[]],
    [{}],
    { a: 1 },
    '~(',
    '__proto__',
  )
  const file = join(folder, 'test.yaml')
  fc.assert(
    fc.property(fc.constantFrom(...places), values, ({ written, path }, value) => {
      writeFileSync(file, JSON.stringify(replaced(written, path, value)))
      const { config, problems } = loadConfig({ file, env: {} })
      expect(config === undefined).toBe(problems.length > 0)
    }),
    // The same places in each run: one that nobody has met yet shall not fail somebody else's change.
    { numRuns: 250, seed: 20_261_126 },
  )
})
