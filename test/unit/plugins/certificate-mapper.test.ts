import { describe, expect, test } from '@jest/globals'
import { createUsers } from '../../../src/identity/users.ts'
import { parseAddress } from '../../../src/plugins/address.ts'
import { PluginMapper, type PluginMapperOptions } from '../../../src/plugins/certificate-mapper.ts'
import { Plugin } from '../../../src/plugins/plugin.ts'
import { readCertificate } from '../../../src/tls-cert-utils/certificate.ts'
import { authority } from '../../support/pki.ts'
import { type FakePlugin, type PluginAnswer, startPlugin } from '../../support/plugin.ts'

const METHOD = 'ClientCertificateMapper.MapClientCertificateToUser'
const ca = authority('ca')
const ada = readCertificate(ca.client('ada').der)
const bob = readCertificate(ca.client('bob').der)
const NOBODY_KNOWN = createUsers([])

async function mapperOf(
  answers: Record<string, PluginAnswer>,
  parts: Partial<PluginMapperOptions> = {},
): Promise<{ fake: FakePlugin; mapper: PluginMapper; questions: () => number }> {
  const fake = await startPlugin('sss', { 'Plugin.Activate': { Implements: ['ClientCertificateMapper'] }, ...answers })
  const plugin = new Plugin({
    name: 'sss',
    find: () => parseAddress(`unix://${fake.socket}`, 'test'),
    timeout: 2000,
    maxAnswer: 10_000,
    rest: 10,
  })
  const mapper = new PluginMapper({
    plugin,
    users: NOBODY_KNOWN,
    options: { certmap: 'sss' },
    cacheTime: 60_000,
    negativeCacheTime: 60_000,
    cacheSize: 100,
    ...parts,
  })
  return { fake, mapper, questions: () => fake.calls.filter(({ method }) => method === METHOD).length }
}

describe('a plugin that maps certificates', () => {
  test("gets the leaf's DER in base64 and the options, and names a user with groups", async () => {
    const { mapper, fake } = await mapperOf({ [METHOD]: { AuthedUser: { Name: 'ada', Groups: ['dev'], Scheme: 'x' } } })
    expect(await mapper.map(ada)).toMatchObject({
      status: 'mapped',
      user: { id: 'ada', name: 'ada', groups: ['dev'], customId: undefined },
    })
    expect(JSON.parse(fake.calls[1]?.body ?? '')).toEqual({
      Certificate: ada.raw.toString('base64'),
      Options: { certmap: 'sss' },
    })
  })

  test('is asked again at once where its refusal is a step of an exchange, and not where it is just a refusal', async () => {
    const { mapper, fake, questions } = await mapperOf({ [METHOD]: { HEADER: { 'X-Step': '2' } } })
    expect(await mapper.map(ada)).toMatchObject({ status: 'unmapped', headers: ['X-Step', '2'] })
    fake.answers[METHOD] = {}
    expect(await mapper.map(ada)).toMatchObject({ status: 'unmapped' })
    await mapper.map(ada)
    expect(questions()).toBe(2)
  })

  test('may name a user by UID alone, and with keys in any case', async () => {
    const { mapper } = await mapperOf({ [METHOD]: { autheduser: { haveuid: true, uid: 1000 } } })
    expect(await mapper.map(ada)).toMatchObject({ status: 'mapped', user: { name: '1000' } })
  })

  test('names a consumer of the configuration with its id and the groups of both', async () => {
    const users = createUsers([{ id: '7', name: 'ada', groups: ['ops'], custom_id: 'c7' }])
    const { mapper } = await mapperOf({ [METHOD]: { AuthedUser: { Name: 'ada', Groups: ['dev', 'ops'] } } }, { users })
    expect(await mapper.map(ada)).toMatchObject({ user: { id: '7', groups: ['ops', 'dev'], customId: 'c7' } })
  })

  test('is believed for no longer than the certificate is valid', async () => {
    const { mapper } = await mapperOf({ [METHOD]: { AuthedUser: { Name: 'ada' } } }, { cacheTime: 1e15 })
    expect(await mapper.map(ada)).toMatchObject({ status: 'mapped', until: ada.notAfter })
  })

  test('names nobody where it names a consumer who is not enabled', async () => {
    const users = createUsers([], [{ id: '7', name: 'ada' }])
    const { mapper } = await mapperOf({ [METHOD]: { AuthedUser: { Name: 'ada' } } }, { users })
    expect(await mapper.map(ada)).toMatchObject({ status: 'unmapped', disabled: true })
  })

  test.each([{}, { AuthedUser: {} }, { AuthedUser: null }, { AuthedUser: { Name: '' } }, { AuthedUser: { UID: 7 } }])(
    '%j knows nobody',
    async (answer) => {
      const { mapper } = await mapperOf({ [METHOD]: answer })
      expect(await mapper.map(ada)).toMatchObject({ status: 'unmapped', headers: [] })
    },
  )

  test.each([
    { AuthedUser: 'root' },
    { AuthedUser: { Name: 7 } },
    { AuthedUser: { Name: 'a\nb' } },
    { AuthedUser: { HaveUID: true, UID: -1 } },
    { AuthedUser: { HaveUID: true, UID: 2 ** 32 } },
    { AuthedUser: { HaveUID: true, UID: 1.5 } },
    { AuthedUser: { Name: 'ada', Groups: 'dev' } },
    { AuthedUser: { Name: 'ada', Groups: [''] } },
    { Err: 'the directory is away' },
  ])('%j decides nothing', async (answer) => {
    const { mapper } = await mapperOf({ [METHOD]: answer })
    await expect(mapper.map(ada)).rejects.toMatchObject({ code: 'GW_UNDECIDED' })
  })

  test("hands headers for the client's next step on, but none that are the gateway's", async () => {
    const Header = {
      'WWW-Authenticate': ['Step two', 'Basic realm="x"'],
      'X-Hint': 'one',
      'Set-Cookie': ['a=b'],
      Location: ['https://elsewhere.test'],
      'Content-Length': ['0'],
      Connection: ['close'],
      'X-Split': ['a\r\nVERIFIED: SUCCESS'],
      'Bad name': ['x'],
      DN: ['CN=root'],
    }
    const { mapper } = await mapperOf({ [METHOD]: { Header } })
    expect(await mapper.map(ada)).toMatchObject({
      headers: ['WWW-Authenticate', 'Step two', 'WWW-Authenticate', 'Basic realm="x"', 'X-Hint', 'one'],
    })
  })

  test('is asked once for a certificate, however many requests wait, and again for another one', async () => {
    const { mapper, questions } = await mapperOf({ [METHOD]: { AuthedUser: { Name: 'ada' } } })
    const found = await Promise.all([mapper.map(ada), mapper.map(ada), mapper.map(ada)])
    expect(questions()).toBe(1)
    expect(mapper.map(ada)).toBe(found[0])
    await mapper.map(bob)
    expect(questions()).toBe(2)
  })

  test('is asked again when its answer is too old, and after a failure', async () => {
    const { mapper, questions, fake } = await mapperOf({ [METHOD]: { AuthedUser: { Name: 'ada' } } }, { cacheTime: 0 })
    await mapper.map(ada)
    await mapper.map(ada)
    expect(questions()).toBe(2)
    fake.answers[METHOD] = { Err: 'away' }
    await expect(mapper.map(bob)).rejects.toThrow(/away/)
    fake.answers[METHOD] = { AuthedUser: { Name: 'bob' } }
    expect(await mapper.map(bob)).toMatchObject({ user: { name: 'bob' } })
  })

  test('remembers no more answers than it may', async () => {
    const { mapper, questions } = await mapperOf({ [METHOD]: { AuthedUser: { Name: 'x' } } }, { cacheSize: 1 })
    for (const certificate of [ada, bob, ada]) await mapper.map(certificate)
    expect(questions()).toBe(3)
  })
})

test('the second form of the proposal: options are set once, then certificates are asked about', async () => {
  const { mapper, fake } = await mapperOf({
    'Plugin.Activate': { Implements: ['Authentication'] },
    'Authentication.SetOptions': {},
    'Authentication.Authenticate': { AuthedUser: { Name: 'ada' } },
  })
  expect(await mapper.map(ada)).toMatchObject({ status: 'mapped', user: { name: 'ada' } })
  await mapper.map(bob)
  expect(fake.calls.map(({ method }) => method)).toEqual([
    'Plugin.Activate',
    'Authentication.SetOptions',
    'Authentication.Authenticate',
    'Authentication.Authenticate',
  ])
  expect(JSON.parse(fake.calls[1]?.body ?? '')).toEqual({ Options: { certmap: 'sss' } })
  expect(JSON.parse(fake.calls[2]?.body ?? '')).toMatchObject({ Certificate: ada.raw.toString('base64') })
})

test('a plugin of another kind decides nothing', async () => {
  const { mapper } = await mapperOf({ 'Plugin.Activate': { Implements: ['VolumeDriver'] } })
  await expect(mapper.map(ada)).rejects.toMatchObject({
    code: 'GW_UNDECIDED',
    detail: expect.stringContaining('implements VolumeDriver'),
  })
})
