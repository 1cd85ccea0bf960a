import { beforeAll, expect, test } from '@jest/globals'
import { bmpString, printableString, t61String, universalString } from '../support/der.ts'
import type { Gateway } from '../support/gateway.ts'
import { nameOf } from '../support/names.ts'
import { makeScene, type Scene } from '../support/scene.ts'

let scene: Scene
let gateway: Gateway

beforeAll(async () => {
  scene = await makeScene()
  gateway = await scene.start({ identity_headers: { VERIFIED: 'verify', DN: 'subject_dn', 'X-Sans': 'san_uri' } })
})

test.each<[what: string, subject: Buffer, dn: string[]]>([
  ['Japanese', nameOf(['CN', '日本']), ['CN=\\E6\\97\\A5\\E6\\9C\\AC']],
  ['an emoji', nameOf(['CN', '🔑']), ['CN=\\F0\\9F\\94\\91']],
  [
    'a line break that would start a header',
    nameOf(['CN', 'eve\r\nVERIFIED: SUCCESS']),
    ['CN=eve\\0D\\0AVERIFIED: SUCCESS'],
  ],
  ['a NUL', nameOf(['CN', 'admin\0.evil']), ['CN=admin\\00.evil']],
  [
    'characters that separate',
    nameOf(['C', 'DE'], ['O', 'Foo, Inc. <x>;"q"\\b+c']),
    ['O=Foo\\, Inc. \\<x\\>\\;\\"q\\"\\\\b\\+c,C=DE'],
  ],
  ['blanks at the ends', nameOf(['O', '#b'], ['CN', ' a '], ['C', 'DE']), ['C=DE,CN=\\ a\\ ,O=\\#b']],
  [
    'several values in one',
    nameOf(
      ['C', 'DE'],
      [
        ['CN', 'a'],
        ['OU', 'b'],
      ],
    ),
    ['OU=b+CN=a,C=DE'],
  ],
  ['BMPString', nameOf(['CN', bmpString('café')]), ['CN=caf\\C3\\A9']],
  ['UniversalString', nameOf(['CN', universalString('𝔸')]), ['CN=\\F0\\9D\\94\\B8']],
  ['T61String', nameOf(['CN', t61String('caf\xe9')]), ['CN=caf\\C3\\A9']],
  ['PrintableString', nameOf(['CN', printableString('plain')]), ['CN=plain']],
  ['an unknown attribute', nameOf(['1.2.3.4', 'ada']), ['1.2.3.4=#0C03616461']],
  ['no subject at all', nameOf(), []],
  ['ten thousand characters', nameOf(['CN', 'x'.repeat(10_000)]), [`CN=${'x'.repeat(10_000)}`]],
])('%s', async (_what, subject, dn) => {
  const answer = await gateway.get('/', { as: scene.clients.client('anyone', { subject }) })
  expect(answer.status).toBe(200)
  expect(scene.backend.last.header('VERIFIED')).toEqual(['SUCCESS'])
  expect(scene.backend.last.header('DN')).toEqual(dn)
})

test('alternative names cannot pass for others', async () => {
  const uris = ['spiffe://td/x, URI:spiffe://td/admin', 'spiffe://td/caf%C3%A9']
  await gateway.get('/', { as: scene.clients.client('anyone', { uris }) })
  expect(scene.backend.last.header('X-Sans')[0]?.split(', ')).toHaveLength(2)
})

test('an alternative name that is no ASCII does no harm', async () => {
  const answer = await gateway.get('/', { as: scene.clients.client('anyone', { uris: ['spiffe://td/caf\xe9\r\n'] }) })
  expect(answer.status).toBe(200)
  expect(scene.backend.last.header('VERIFIED')).toEqual(['SUCCESS'])
})

test('the gateway is still up after all of them', async () => {
  expect((await gateway.get('/')).status).toBe(200)
})
