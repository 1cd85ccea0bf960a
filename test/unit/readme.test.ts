import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from '@jest/globals'
import { makeDevelopmentCertificates } from '../../src/cli/development-certificates.ts'
import { loadConfig } from '../../src/config/index.ts'
import { describeProblem } from '../../src/errors.ts'
import { createMetrics } from '../../src/metrics/metrics.ts'
import { temporaryFolder } from '../support/folder.ts'
import { PROJECT } from '../support/gateway.ts'

const read = (name: string) => readFileSync(join(PROJECT, name), 'utf8')
const readme = read('README.md')
const folder = temporaryFolder()

beforeAll(async () => {
  await makeDevelopmentCertificates(join(folder, 'certs'))
})

const problemsOf = (file: string | undefined, env: NodeJS.ProcessEnv) => {
  const { problems } = loadConfig({ file, env })
  return problems.map(describeProblem)
}

test('the YAML of the README is a configuration that loads', () => {
  const yaml = /```yaml\n([\s\S]*?)```/.exec(readme)?.[1] ?? ''
  expect(yaml.trim().split('\n').length).toBeLessThanOrEqual(12)
  const file = join(folder, 'sallyport.yaml')
  writeFileSync(file, yaml)
  expect(problemsOf(file, {})).toEqual([])
})

test('the environment of the README is one that loads', () => {
  const block = readme.split('environment variables alone')[1] ?? ''
  const env = Object.fromEntries(
    [...block.matchAll(/\b((?:SALLYPORT|SECRET)_\w+)=(\S+)/g)].map(([, name, value]) => [
      name,
      /\.(crt|key)$/.test(value ?? '') ? join(folder, value ?? '') : value,
    ]),
  )
  const { SECRET_CLIENT_KEY, SECRET_CLIENT_CERT } = env
  expect([SECRET_CLIENT_KEY, SECRET_CLIENT_CERT, Object.keys(env).length > 7]).toEqual([
    expect.anything(),
    expect.anything(),
    true,
  ])
  // A file of nothing, so that no conf/sallyport.yaml of the working directory is read.
  mkdirSync(join(folder, 'empty'))
  writeFileSync(join(folder, 'empty', 'sallyport.yaml'), '# nothing')
  expect(
    problemsOf(join(folder, 'empty', 'sallyport.yaml'), {
      ...env,
      SECRET_CLIENT_KEY: join(folder, 'certs/gateway.key'),
      SECRET_CLIENT_CERT: join(folder, 'certs/gateway.crt'),
    }),
  ).toEqual([])
})

test('docs/operations.md names every metric and nothing that is none', async () => {
  const text = await createMetrics().text()
  const names = [...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name = '']) => name)
  const real = new Set(names.flatMap((name) => /^sallyport_(.+)$/.exec(name)?.[1] ?? []))
  const table = /## Metrics\n([\s\S]*?)\nWorth an alarm/.exec(read('docs/operations.md'))?.[1] ?? ''
  const rows = table.split('\n').filter((line) => line.startsWith('| `'))
  const named = new Set(
    rows.flatMap((row) => [...(row.split('|')[1] ?? '').matchAll(/`(\w+)`/g)].map(([, name]) => name)),
  )
  expect(named).toEqual(real)
})
