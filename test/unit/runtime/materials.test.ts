import { generateKeyPairSync } from 'node:crypto'
import { expect, test } from '@jest/globals'
import { PemSource, Secret } from '../../../src/config/index.ts'
import { CrlSource } from '../../../src/config/schema/crl.ts'
import { Materials, type PairSettings } from '../../../src/runtime/materials.ts'
import { atOnce } from '../../../src/slices.ts'
import { authority, type Issued } from '../../support/pki.ts'

const root = authority('root')
const middle = root.authority('middle')
const server = root.server('localhost')
const other = root.server('localhost')

const made = () => new Materials((path) => ({ path, location: undefined }))
const source = (setting: string, text: string) => new PemSource(setting, 'inline', text)
const told = (problems: Materials['problems']) => problems.map(({ path, message }) => `${path}: ${message}`)

const pairOf = ({ chain, key }: Pick<Issued, 'chain' | 'key'>, settings: Partial<PairSettings> = {}): PairSettings => ({
  ...{ role: 'server', name: 'localhost', passphrases: [], passphraseSetting: 'its passphrase' },
  ...{ cert: source('the certificate', chain), key: source('the key', key) },
  ...settings,
})

const listsOf = (name: string, ...texts: string[]) =>
  new CrlSource('the lists', [{ name, parts: texts.map((text) => ({ text })) }])

test('certificates with one name are told apart, and each is counted once', () => {
  const materials = made()
  const [one, two] = [materials.keyPair(pairOf(server)), materials.keyPair(pairOf(other))]
  expect(one?.leaf.serial).not.toBe(two?.leaf.serial)
  expect(materials.keyPair(pairOf(server))).toBe(one)
  expect(materials.certificatesInUse).toHaveLength(2)
})

test('one certificate is counted for each name and each side that shows it', () => {
  const materials = made()
  const both = root.client('both', { purposes: ['serverAuth', 'clientAuth'] })
  for (const settings of [{}, { name: 'another' }, { role: 'client' }] as const)
    materials.keyPair(pairOf(both, settings))
  expect(materials.certificatesInUse.map(({ role, name }) => `${role} ${name}`)).toEqual([
    ...['server localhost', 'server another', 'client localhost'],
  ])
})

test('a key that cannot be used is a problem of the setting that mends it', () => {
  const { chain } = server
  const problemsOf = (settings: PairSettings) => {
    const materials = made()
    expect(materials.keyPair(settings)).toBeUndefined()
    expect(materials.certificatesInUse).toEqual([])
    return told(materials.problems)
  }
  expect(problemsOf(pairOf({ chain, key: other.key }))).toEqual([expect.stringMatching(/^the key: /)])
  expect(problemsOf(pairOf({ chain: 'nothing', key: server.key }))).toEqual([
    expect.stringMatching(/^the certificate: /),
  ])
  const encrypted = pairOf({ chain, key: server.encryptedKey('right') })
  expect(problemsOf(encrypted)).toEqual([expect.stringMatching(/^the key: .* Set its passphrase\.$/)])
  const wrong = { ...encrypted, passphrases: [new Secret('wrong')] }
  expect(problemsOf(wrong)).toEqual([expect.stringMatching(/^the key: .* Set its passphrase\.$/)])
})

test('the same problem is told once, however many use the key', () => {
  const materials = made()
  const broken = pairOf({ chain: server.chain, key: other.key })
  for (let i = 0; i < 3; i++) materials.keyPair(broken)
  expect(materials.problems).toHaveLength(1)
})

test('a curve that is of no use in TLS is warned of where it is shown, and not where it signs tokens', () => {
  const odd = root.client('odd', {
    keys: generateKeyPairSync('ec', { namedCurve: 'secp256k1' }),
    purposes: ['serverAuth', 'clientAuth'],
  })
  const warned = (['server', 'client', 'signing'] as const).map((role) => {
    const materials = made()
    materials.keyPair(pairOf(odd, { role }))
    return materials.warnings.length
  })
  expect(warned).toEqual([1, 1, 0])
})

test('a certificate that is shown as two is warned of for what each may not', () => {
  const materials = made()
  const signer = root.client('signer', { purposes: ['emailProtection'] })
  for (const role of ['server', 'client', 'signing'] as const) materials.keyPair(pairOf(signer, { role }))
  expect(materials.warnings.map(({ message }) => message)).toEqual([
    expect.stringContaining('not meant for TLS servers'),
    expect.stringContaining('not meant for TLS clients'),
  ])
})

test('a certificate that is over, not valid yet or not meant for clients is warned of', () => {
  const warningsOf = (issued: Issued, role: PairSettings['role']) => {
    const materials = made()
    materials.keyPair(pairOf(issued, { role }))
    return told(materials.warnings)
  }
  expect(warningsOf(server, 'server')).toEqual([])
  const over = root.server('localhost', { validFrom: -9, validUntil: -1 })
  expect(warningsOf(over, 'server')).toEqual([expect.stringMatching(/^the certificate: the certificate expired on /)])
  const early = root.server('localhost', { validFrom: 1 })
  expect(warningsOf(early, 'server')).toEqual([expect.stringMatching(/ is not valid before /)])
  expect(warningsOf(server, 'client')).toEqual([expect.stringMatching(/ is not meant for TLS clients /)])
  expect(warningsOf(root.client('gateway'), 'client')).toEqual([])
})

test('a chain that lacks an intermediate which stands in a trust store is warned of', () => {
  const warningsWith = (chain: string, ...stores: string[]) => {
    const materials = made()
    const leaf = middle.server('localhost')
    materials.keyPair(pairOf({ chain: chain === '' ? leaf.certificate : leaf.chain, key: leaf.key }))
    for (const store of stores) materials.trustStore(source('authorities', store), 'client')
    atOnce(materials.warnOfMissingIssuers())
    return told(materials.warnings)
  }
  expect(warningsWith('', root.certificate, middle.certificate)).toEqual([
    expect.stringMatching(/^the certificate: CN=middle, which issued CN=localhost and is no root, does not follow it/),
  ])
  expect(warningsWith('', root.certificate)).toEqual([])
  expect(warningsWith('whole', root.certificate, middle.certificate)).toEqual([])
})

test('a trust store is read anew where its text differs, and counted for each use', () => {
  const materials = made()
  const [one, two] = [
    materials.trustStore(source('a', root.certificate), 'client'),
    materials.trustStore(source('a', middle.certificate), 'client'),
  ]
  expect([one, two].map((store) => store?.certificates[0]?.subject)).toEqual(['CN=root', 'CN=middle'])
  expect(materials.trustStore(source('a', root.certificate), 'client')).toBe(one)
  materials.trustStore(source('a', root.certificate), 'upstream')
  expect(materials.certificatesInUse.map(({ role, name, issuer }) => [role, name, issuer])).toEqual([
    ['ca', 'client', undefined],
    ['ca', 'client', 'CN=root'],
    ['ca', 'upstream', undefined],
  ])
})

test('a trust store that cannot be read is a problem of each setting, and trusts nobody', () => {
  const materials = made()
  expect(materials.authorities(source('one', 'nothing'))).toEqual([])
  expect(materials.problems).toEqual([])
  for (const setting of ['one', 'two'])
    expect(materials.trustStore(source(setting, 'nothing'), 'client')).toBeUndefined()
  expect(materials.problems.map(({ path }) => path)).toEqual(['one', 'two'])
  expect(materials.certificatesInUse).toEqual([])
})

test('the same lists have one name wherever they come from, and other lists another', () => {
  const materials = made()
  const [first, second] = [root.crl(), middle.crl([], { nextUpdate: null })]
  expect(materials.revocationLists(listsOf('here', first, second))?.name).toBe('here')
  expect(materials.revocationLists(listsOf('there', first, second))?.name).toBe('here')
  expect(materials.revocationLists(listsOf('elsewhere', second))?.name).toBe('elsewhere')
  // A list that ends never has no date to watch.
  expect(materials.crlsInUse.map(({ name }) => name)).toEqual(['CN=root'])
})

test('lists that cannot be read are a problem, and none are in use', () => {
  const materials = made()
  expect(materials.revocationLists(listsOf('here', 'nothing'))).toBeUndefined()
  expect(told(materials.problems)).toEqual([expect.stringMatching(/^the lists: /)])
})

test('TLS contexts are shared only where all that they are made from is the same', () => {
  const materials = made()
  const shared = materials.secureContext(['a', 'b'], () => ({}))
  expect(materials.secureContext(['a', 'b'], () => ({}))).toBe(shared)
  expect(materials.secureContext(['ab'], () => ({}))).not.toBe(shared)
  expect(materials.secureContext([['a', 'b']], () => ({}))).not.toBe(shared)
})
