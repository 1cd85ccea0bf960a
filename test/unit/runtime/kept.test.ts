import { PemSource, type ServerConfig } from '../../../src/config/index.ts'
import { createLog } from '../../../src/log/log.ts'
import { Kept, KeptMaterials } from '../../../src/runtime/kept.ts'
import { Materials } from '../../../src/runtime/materials.ts'
import { OcspAnswers } from '../../../src/runtime/revocation/ocsp.ts'
import { RevocationFiles } from '../../../src/runtime/revocation/revocation-files.ts'
import { type Authority, createAuthority } from '../../../src/tls-cert-utils/development-pki.ts'

describe('what is kept from one configuration to the next', () => {
  it('is made once for as long as each configuration wants it', () => {
    const kept = new Kept<object>()
    const made = kept.of('a', () => ({}))
    expect(kept.of('a', () => ({}))).toBe(made)
    for (let reload = 0; reload < 3; reload++) {
      kept.commit()
      kept.begin()
      expect(kept.of('a', () => ({}))).toBe(made)
    }
  })

  it('is forgotten with the first configuration in use that does not want it', () => {
    const kept = new Kept<object>()
    const made = kept.of('a', () => ({}))
    kept.commit()
    kept.begin()
    kept.commit()
    kept.begin()
    expect(kept.of('a', () => ({}))).not.toBe(made)
  })

  it('is not forgotten for one that was refused, and what that one wanted is not kept', () => {
    const kept = new Kept<object>()
    const inUse = kept.of('in use', () => ({}))
    kept.commit()
    kept.begin()
    const refused = kept.of('refused', () => ({}))
    kept.begin()
    expect(kept.of('in use', () => ({}))).toBe(inUse)
    expect(kept.of('refused', () => ({}))).not.toBe(refused)
  })

  it('does not hold what could not be made', () => {
    const kept = new Kept<object>()
    expect(() =>
      kept.of('a', () => {
        throw new Error('no')
      }),
    ).toThrow('no')
    expect(kept.of('a', () => ({ made: true }))).toEqual({ made: true })
  })
})

describe('materials of a reload', () => {
  let authority: Authority
  beforeAll(async () => {
    authority = await createAuthority()
  })

  const source = (text: string) => new PemSource('setting', 'inline', text)
  const common = { role: 'server', name: 'one', passphrases: [], passphraseSetting: '' } as const

  it('reads a key pair and a trust store again only where one of their texts has changed', async () => {
    const kept = new KeptMaterials()
    const [one, two] = [await authority.issue({ subject: 'one' }), await authority.issue({ subject: 'two' })]
    const read = (issued: typeof one) => {
      const materials = new Materials((path) => ({ path, location: undefined }), new RevocationFiles(), kept)
      const made = {
        pair: materials.keyPair({ ...common, cert: source(issued.pem), key: source(issued.keyPem) }),
        store: materials.trustStore(source(authority.pem), 'one'),
        context: materials.secureContext(['the same'], () => ({})),
        used: materials.certificatesInUse.length,
      }
      kept.commit()
      return made
    }
    const first = read(one)
    const again = read(one)
    expect(
      [again.pair, again.store, again.context].map((each, i) => each === [first.pair, first.store, first.context][i]),
    ).toEqual([true, true, true])
    expect(again.used).toBe(first.used)
    const changed = read(two)
    expect(changed.pair?.leaf.subject).toBe('CN=two')
    expect(changed.store).toBe(first.store)
  })

  it('does not take the key that belongs to another certificate for one that was read before', async () => {
    const kept = new KeptMaterials()
    const [one, two] = [await authority.issue({ subject: 'one' }), await authority.issue({ subject: 'two' })]
    const materials = () => new Materials((path) => ({ path, location: undefined }), new RevocationFiles(), kept)
    materials().keyPair({ ...common, cert: source(one.pem), key: source(one.keyPem) })
    kept.commit()
    const later = materials()
    expect(later.keyPair({ ...common, cert: source(one.pem), key: source(two.keyPem) })).toBeUndefined()
    expect(later.problems).toHaveLength(1)
  })

  it('keeps the answers of OCSP responders while a server wants them, and forgets them with a certificate that was renewed', async () => {
    const kept = new KeptMaterials()
    const answers = new OcspAnswers(createLog({ level: 'silent' }), kept)
    const server = { ssl_ocsp: 'leaf', ssl_ocsp_cache: 10, ssl_stapling: true, at: '' } as ServerConfig
    const [one, two] = [await authority.issue({ subject: 'one' }), await authority.issue({ subject: 'two' })]
    const afterReload = (issued: typeof one, { asks = true, isRefused = false } = {}) => {
      const materials = new Materials((path) => ({ path, location: undefined }), new RevocationFiles(), kept)
      const cert = source(issued.pem + authority.pem)
      const pair = materials.keyPair({ ...common, cert, key: source(issued.keyPem) })
      const [staple] = answers.staplesOf(server, pair ? [pair] : [], materials)
      const statuses = asks ? answers.statusesOf(server)?.statuses : undefined
      if (!isRefused) kept.commit()
      return { staple: staple?.[1], statuses }
    }
    const first = afterReload(one)
    expect(first.staple).toBeDefined()
    expect(afterReload(one).staple).toBe(first.staple)
    expect(afterReload(one).statuses).toBe(first.statuses)
    afterReload(two, { asks: false, isRefused: true })
    const again = afterReload(one)
    expect([again.staple === first.staple, again.statuses === first.statuses]).toEqual([true, true])
    afterReload(two, { asks: false })
    const later = afterReload(one)
    expect(later.staple).not.toBe(first.staple)
    expect(later.statuses).not.toBe(first.statuses)
  })

  it('forgets what a configuration had read that was refused', async () => {
    const kept = new KeptMaterials()
    const issued = await authority.issue({ subject: 'one' })
    const made = () => new Materials((path) => ({ path, location: undefined }), new RevocationFiles(), kept)
    const read = (materials: Materials) =>
      materials.keyPair({ ...common, cert: source(issued.pem), key: source(issued.keyPem) })
    const refused = read(made())
    made()
    kept.commit()
    expect(read(made())).not.toBe(refused)
  })
})
