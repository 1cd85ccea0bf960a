import { describe, expect, test } from '@jest/globals'
import { BY_VARIABLE, CONFIG_FILE } from '../../../src/config/environment/variables.ts'
import { KONG_PLUGINS, KONG_WORDS } from '../../../src/config/foreign/from-kong.ts'
import { NATS_AUTHORIZATION_WORDS, NATS_WORDS } from '../../../src/config/foreign/from-nats.ts'
import { NGINX_WORDS, type Remedies } from '../../../src/config/foreign/from-nginx.ts'
import { KEYSTONE_OPTIONS, OTHER_GATEWAYS } from '../../../src/config/foreign/from-others.ts'
import { schema } from '../../../src/config/schema/config.ts'
import { type Block, blockOf } from '../../../src/config/schema/settings.ts'
import { loadText, problemsOf, temporaryFolder } from './support.ts'

const folder = temporaryFolder()
const wordsOf = (remedies: Remedies) => remedies.flatMap(([words]) => words.split(' '))
const nginx = Object.values(NGINX_WORDS).flat()
/** Of a family, one. */
const kongWords = wordsOf(KONG_WORDS).map((word) => word.replace('*', 'any'))
const nginxWords = wordsOf(nginx).map((word) => word.replace('*', 'any'))

function* keysOf(block: Block): Generator<string> {
  for (const { key } of block.settings) yield key
  for (const inner of block.blocks) {
    yield inner.key
    yield* keysOf(inner)
  }
}

const problems = (yaml: string) => problemsOf(folder, loadText(folder, yaml))

describe('what is said instead of nginx, Kong and NATS', () => {
  test.each([nginx, KONG_WORDS, KONG_PLUGINS, NATS_WORDS, NATS_AUTHORIZATION_WORDS])(
    'has each word once',
    (...remedies) => {
      const words = remedies.flatMap((each) => wordsOf([each] as unknown as Remedies))
      expect(words.filter((word, index) => words.indexOf(word) !== index)).toEqual([])
    },
  )

  test('names only settings that are there', () => {
    const known = new Set([...keysOf(blockOf(schema)), ...BY_VARIABLE.keys(), CONFIG_FILE])
    // Of nginx and Kong, and of the environment.
    const others = /^(ssl_client_|ssl_client_verify|http_host|SECRET_CLIENT_KEY_PASSPHRASE_FILE|unsafe_|jwks_uri)$/
    for (const [, remedy] of [...nginx, ...KONG_WORDS, ...KONG_PLUGINS, ...NATS_WORDS, ...NATS_AUTHORIZATION_WORDS]) {
      const named = remedy.match(/\b[A-Za-z]+_\w+/g) ?? []
      expect([remedy, named.filter((name) => !known.has(name) && !others.test(name))]).toEqual([remedy, []])
    }
  })
})

test.each(nginxWords)("nginx's %s is told as such, in a server or where else it may stand", (word) => {
  const tried = [`listeners: [{ servers: [{ ${word}: x }] }]`, `services: [{ ${word}: x }]`]
  expect(tried.flatMap(problems)).toContainEqual(expect.stringContaining(`${word}: is nginx's; `))
})

test.each(kongWords)("Kong's %s is told as such", (word) => {
  const tried = [`${word}: 1`, `consumer_groups: [{ name: gold, ${word}: 1 }]`]
  expect(tried.flatMap(problems)).toContainEqual(expect.stringContaining(`${word}: is Kong's; `))
})

test.each(wordsOf(NATS_WORDS))("NATS's %s is told as such", (word) => {
  expect(problems(`${word}: 1`)).toContainEqual(expect.stringMatching(`${word}: is (NATS|nginx)'s; `))
})

test.each(wordsOf(NATS_AUTHORIZATION_WORDS))("NATS's %s is told as such, in authorization and at a user", (word) => {
  const at = (authorization: string) => problems(`listeners: [{ servers: [{ authorization: ${authorization} }] }]`)
  for (const told of [at(`{ ${word}: 1 }`), at(`{ users: [{ user: ada, ${word}: 1 }] }`)])
    expect(told).toContainEqual(expect.stringContaining(`${word}: is NATS's; `))
})

test("a file of NATS's is told as such, once", () => {
  const told = problems('listen: "0.0.0.0:4222"\ntls {\n  cert_file: "a"\n}\nauthorization = { token: "secret" }\n')
  expect(told).toEqual([expect.stringContaining("is a file of NATS's; write YAML")])
})

test("a file of HAProxy's is told as such, once", () => {
  const told = problems(
    'global\n    maxconn 100\nfrontend fe\n    bind :8443 ssl crt server.pem\n    default_backend be\n',
  )
  expect(told).toEqual([expect.stringContaining("is a file of HAProxy's; write YAML")])
})

test.each([
  ['entryPoints', 'Traefik'],
  ['static_resources', 'Envoy'],
])('%s is told as a word of %s', (word, owner) => {
  expect(problems(`${word}: {}`)).toContainEqual(expect.stringContaining(`${word}: is ${owner}'s; docs/migration.md`))
})

test('what docs/migration.md says of HAProxy, Traefik, Envoy and Keystone names only settings that are there', () => {
  const known = new Set(keysOf(blockOf(schema)))
  for (const cells of [...OTHER_GATEWAYS, ...KEYSTONE_OPTIONS]) {
    const here = cells[cells.length - 1] as string
    const named = here.match(/\b[a-z]+_\w+/g) ?? []
    expect([here, named.filter((name) => !known.has(name) && name !== 'optional_no_ca')]).toEqual([here, []])
  }
})

test('a word that stands in another block is told with that block', () => {
  expect(problems('proxy: { client_max_body_size: 1m }')).toEqual([
    expect.stringContaining('client_max_body_size: is no setting here; it stands in listeners[]'),
  ])
})

test('a file full of unknown settings lists the known ones of a block once', () => {
  const text = Array.from({ length: 50 }, (_, index) => `zzz${index}zzzzzzzz: 1`).join('\n')
  expect(problems(text).filter((each) => each.includes('known: '))).toHaveLength(1)
})
