import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { temporaryFolder } from './support.ts'

const folder = temporaryFolder()

/** In a process of its own, as `queryObjects` sees nothing of jest's contexts. Prints where a setting stands, and how many of YAML's maps are kept. */
const PROGRAM = `
  import { queryObjects } from 'node:v8'
  import { YAMLMap } from 'yaml'
  import { loadConfig } from './src/config/index.ts'
  const maps = () => queryObjects(YAMLMap, { format: 'count' })
  const before = maps()
  const { config, locate } = loadConfig({ file: process.argv[1], env: {} })
  const kept = maps() - before
  console.log(JSON.stringify({ routes: config.routes.length, kept, line: locate('services[0].routes[99]').line }))
`

test('a configuration that is in use knows where its settings stand, and holds no document of its file', () => {
  const file = join(folder, 'many.yaml')
  const own = '{ ssl_certificate: server.crt, ssl_certificate_key: server.key }'
  const routes = Array.from({ length: 100 }, (_, i) => `  - { name: r${i}, paths: [/${i}/] }`)
  writeFileSync(
    file,
    [`listeners: [{ servers: [${own}] }]`, 'services:', '- url: http://127.0.0.1', '  routes:', ...routes].join('\n'),
  )
  const printed = execFileSync(process.execPath, ['--input-type=module', '-e', PROGRAM, file], { encoding: 'utf8' })
  expect(JSON.parse(printed)).toEqual({ routes: 100, kept: 0, line: 104 })
})
