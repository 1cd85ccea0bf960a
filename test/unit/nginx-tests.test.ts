import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from '@jest/globals'

const TESTS = fileURLToPath(new URL('..', import.meta.url))

test('every test that nginx-tests.md names is there', () => {
  const named = readFileSync(join(TESTS, 'nginx-tests.md'), 'utf8').match(/\b(?:e2e|interop)\/[a-z0-9-]+/g) ?? []
  expect(named.length).toBeGreaterThan(20)
  expect(named.filter((name) => !existsSync(join(TESTS, `${name}.test.ts`)))).toEqual([])
})
