// Each .golden here is a configuration, a line of hyphens, and what comes of it: the problems as they are printed, or `ok` and settings that the
// result must have. Lines `# env NAME=value` at the top set variables. `server.crt`, `server.key`, `ca.crt` and `ca.crl` lie beside the file.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { parse } from 'yaml'
import { loadConfig } from '../../src/config/index.ts'
import { describeProblem } from '../../src/errors.ts'
import { writePems } from '../unit/config/support.ts'

const HERE = new URL('.', import.meta.url).pathname
const SEPARATOR = /^-{10}$/m

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'golden-'))
  writePems(folder)
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function load(name: string, input: string) {
  const file = join(folder, name)
  writeFileSync(file, input)
  const env = Object.fromEntries(
    [...input.matchAll(/^# env (\w+)=(.*)$/gm)].map(([, key = '', value = '']) => [key, value]),
  )
  return loadConfig({ file, env })
}

/** Messages name the folders that were searched. */
function withoutFolders(text: string): string {
  return text.replaceAll(`${folder}/`, '').replaceAll(`${process.cwd()}/`, './')
}

for (const name of readdirSync(HERE).filter((each) => each.endsWith('.golden'))) {
  test(name, () => {
    const [input = '', expected = ''] = readFileSync(join(HERE, name), 'utf8').split(SEPARATOR)
    const loaded = load(name, input)
    const problems = loaded.problems.map((problem) => withoutFolders(describeProblem(problem)))
    const [verdict = '', ...rest] = expected.trim().split('\n')
    if (verdict !== 'ok') {
      expect(problems).toEqual([verdict, ...rest])
      return
    }
    expect(problems).toEqual([])
    const result = JSON.parse(withoutFolders(JSON.stringify(loaded.config)))
    expect(result).toMatchObject(parse(rest.join('\n')) ?? {})
  })
}
