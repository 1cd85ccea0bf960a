import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { parse } from 'yaml'
import * as z from 'zod'
import { loadConfig } from '../../../../src/config/index.ts'
import { GENERATED, jsonSchema } from '../../../../src/config/references/references.ts'
import { IDENTITY_FIELDS } from '../../../../src/config/schema/identity-fields.ts'
import { CERTIFICATE, loadText, problemsOf, temporaryFolder, usable } from '../support.ts'

const ROOT = new URL('../../../../', import.meta.url).pathname
const EXAMPLES = join(ROOT, 'conf/examples')
const folder = temporaryFolder()
const schema = z.fromJSONSchema(jsonSchema() as Parameters<typeof z.fromJSONSchema>[0])

test.each(Object.entries(GENERATED))(
  '%s is what the schema says; "npm run docs" brings it up to date',
  (path, content) => {
    expect(readFileSync(join(ROOT, path), 'utf8')).toBe(content())
  },
)

test('conf/sallyport.yaml loads, and says exactly the defaults', () => {
  const written = usable(loadConfig({ file: join(ROOT, 'conf/sallyport.yaml'), env: {} }))
  expect(JSON.parse(JSON.stringify(written))).toEqual(JSON.parse(JSON.stringify(usable(loadText(folder, '')))))
})

test('a block of conf/sallyport.yaml that is uncommented lacks only what cannot have a default', () => {
  const text = readFileSync(join(ROOT, 'conf/sallyport.yaml'), 'utf8')
  const from = text.indexOf('# services:')
  const block = text.slice(from, text.indexOf('\n\n', from)).replace(/^# ?/gm, '')
  expect(problemsOf(folder, loadText(folder, block)).map((each) => each.replace(/.*: /, ''))).toEqual([
    'https://api.internal',
    '[/] takes everything',
  ])
})

describe('the JSON Schema', () => {
  test('takes the default file and every example', () => {
    const files = [join(ROOT, 'conf/sallyport.yaml'), ...readdirSync(EXAMPLES).map((name) => join(EXAMPLES, name))]
    for (const file of files)
      expect(schema.safeParse(parse(readFileSync(file, 'utf8'))).error?.issues ?? []).toEqual([])
  })

  test.each(['listners: []', 'log: { level: loud }', 'listeners: [{ max_headers: 0 }]', 'services: [{ nmae: a }]'])(
    'refuses %s',
    (yaml) => {
      expect(schema.safeParse(parse(yaml)).success).toBe(false)
    },
  )
})

describe('conf/examples', () => {
  test.each(readdirSync(EXAMPLES))('%s loads', (name) => {
    const text = readFileSync(join(EXAMPLES, name), 'utf8')
    for (const [path] of text.matchAll(/certs\/[\w./-]+/g)) {
      mkdirSync(join(folder, dirname(path)), { recursive: true })
      writeFileSync(join(folder, path), CERTIFICATE)
    }
    copyFileSync(join(EXAMPLES, name), join(folder, name))
    expect(problemsOf(folder, loadConfig({ file: join(folder, name), env: {} }))).toEqual([])
  })
})

test('the reference names every variable and every identity field', () => {
  const reference = readFileSync(join(ROOT, 'docs/configuration.md'), 'utf8')
  for (const name of [
    ...Object.keys(IDENTITY_FIELDS),
    'SALLYPORT_SSL_CRL',
    'SECRET_CLIENT_KEY',
    'SALLYPORT_UPSTREAM_URL',
  ]) {
    expect(reference).toContain(`\`${name}\``)
  }
})
