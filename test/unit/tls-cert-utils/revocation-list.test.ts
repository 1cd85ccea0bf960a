import { beforeAll, describe, expect, test } from '@jest/globals'
import {
  type Authority,
  createAuthority,
  encodeName,
  type Issued,
} from '../../../src/tls-cert-utils/development-pki.ts'
import { jointStatement, readRevocationLists } from '../../../src/tls-cert-utils/revocation-list.ts'
import { processorTime } from '../../support/processor-time.ts'
import { openssl } from './openssl.ts'

let authority: Authority
let revoked: Issued
let valid: Issued

beforeAll(async () => {
  authority = await createAuthority({ subject: 'CN=Test CA,O=Acme' })
  revoked = await authority.issue({ subject: 'eve' })
  valid = await authority.issue({ subject: 'ada' })
})

describe('readRevocationLists', () => {
  test('reads who issued a list, when, until when, and how many it revokes', async () => {
    const thisUpdate = new Date('2026-01-02T03:04:05Z')
    const nextUpdate = new Date('2056-01-02T03:04:05Z')
    const pem = await authority.revocationList({ revoked: [revoked, '0abc', '-05'], thisUpdate, nextUpdate })
    const [list] = readRevocationLists(pem)
    expect(list).toMatchObject({
      issuer: 'CN=Test CA,O=Acme',
      thisUpdate: thisUpdate.getTime(),
      nextUpdate: nextUpdate.getTime(),
      revokedCount: 3,
    })
    expect(openssl(['crl', '-noout', '-lastupdate', '-nextupdate'], pem)).toBe(
      'lastUpdate=Jan  2 03:04:05 2026 GMT\nnextUpdate=Jan  2 03:04:05 2056 GMT\n',
    )
  })

  test('reads a list that revokes nobody and names no next update', async () => {
    const [list] = readRevocationLists(await authority.revocationList({ nextUpdate: 'none' }))
    expect([list?.revokedCount, list?.nextUpdate]).toEqual([0, Number.POSITIVE_INFINITY])
  })

  test('reads a bundle of several', async () => {
    const lists = readRevocationLists(
      `# lists\n${await authority.revocationList()}\n${await (await createAuthority()).revocationList()}`,
    )
    expect(lists.map(({ issuer }) => issuer)).toEqual(['CN=Test CA,O=Acme', 'CN=Development CA'])
  })

  test('reads one list in DER, and PEM as bytes', async () => {
    const pem = await authority.revocationList({ revoked: [revoked] })
    const [list] = readRevocationLists(pem)
    const der = Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ''), 'base64')
    for (const source of [der, Uint8Array.from(der), Buffer.from(pem)]) {
      expect(readRevocationLists(source)[0]?.digest).toBe(list?.digest)
    }
  })

  test('reads PEM after a text that begins with the first byte of DER, the digit 0', async () => {
    const pem = await authority.revocationList({ revoked: [revoked] })
    for (const text of ['0 lists\n', '01.12.2026\n', '0\n', '0'.repeat(200)])
      expect(readRevocationLists(`${text}\n${pem}`)).toHaveLength(1)
  })

  test('states the same as a list that it only renews, and something else where anything but dates, number and signature differs', async () => {
    const later = { thisUpdate: new Date('2026-02-02T00:00:00Z'), nextUpdate: new Date('2056-02-02T00:00:00Z') }
    const namesake = await createAuthority({ subject: 'CN=Test CA,O=Acme' })
    const statement = async (list: Promise<string>) => readRevocationLists(await list)[0]?.statement
    const first = await statement(authority.revocationList({ revoked: [revoked, '0abc'] }))
    expect(await statement(authority.revocationList({ revoked: [revoked, '0abc'], ...later }))).toBe(first)
    const others = await Promise.all([
      statement(authority.revocationList({ revoked: [revoked] })),
      statement(authority.revocationList({ revoked: [revoked, '0abd'] })),
      statement(authority.revocationList()),
      statement(namesake.revocationList({ revoked: [revoked, '0abc'] })),
    ])
    expect(new Set([first, ...others]).size).toBe(5)
  })

  test('states the same together with others in whatever order, and where one stands twice', async () => {
    const lists = [await authority.revocationList(), await authority.revocationList({ revoked: [revoked] })]
    const [one, other] = lists.flatMap((list) => readRevocationLists(list))
    if (!one || !other) throw new Error('lists are missing')
    const both = jointStatement([one, other])
    expect([jointStatement([other, one]), jointStatement([one, other, one])]).toEqual([both, both])
    expect(jointStatement([one])).not.toBe(both)
  })

  test('knows whom it revokes, by serial number', async () => {
    const [list] = readRevocationLists(await authority.revocationList({ revoked: [revoked] }))
    expect(list?.revokes(revoked.certificate.rawSerial)).toBe(true)
    expect(list?.revokes(valid.certificate.rawSerial)).toBe(false)
  })

  test.each(['00', '01', '7f', '80', 'ff', '-01', '-80', '-81', '0100', `7f${'ff'.repeat(19)}`, `-${'7f'.repeat(20)}`])(
    'knows the serial number %s from those next to it',
    async (serial) => {
      const bytes = async (number: string) =>
        (await authority.issue({ subject: 'x', serial: number })).certificate.rawSerial
      const [list] = readRevocationLists(await authority.revocationList({ revoked: [serial] }))
      expect(list?.revokes(await bytes(serial))).toBe(true)
      for (const other of ['02', '0101', '-02', '7e', 'fe', '0080ff'])
        expect(list?.revokes(await bytes(other))).toBe(false)
    },
  )

  test('knows its issuer in another spelling, as OpenSSL compares names', async () => {
    const spelled = (text: string, tag: number) => encodeName([[{ oid: '2.5.4.3', tag, value: Buffer.from(text) }]])
    const lower = await createAuthority({ subject: spelled('  test   ca ', 12) })
    const upper = await createAuthority({ subject: spelled('Test CA', 19) })
    const [one] = readRevocationLists(await lower.revocationList())
    const [other] = readRevocationLists(await upper.revocationList())
    expect(one?.foldedIssuer).toBe(other?.foldedIssuer)
  })

  test('knows who signed it', async () => {
    const [list] = readRevocationLists(await authority.revocationList())
    const namesake = await createAuthority({ subject: 'CN=Test CA,O=Acme' })
    expect(list?.isSignedBy(namesake.certificate)).toBe(false)
    expect(list?.isSignedBy(authority.certificate)).toBe(true)
    expect(list?.isSignedBy(namesake.certificate)).toBe(false)
    expect(list?.isSignedBy(authority.certificate)).toBe(true)
  })

  test('is not checked again with a key that has just failed: a forged one would cost each handshake its whole length', async () => {
    const [list] = readRevocationLists(await authority.revocationList())
    const namesake = await createAuthority({ subject: 'CN=Test CA,O=Acme' })
    let checks = 0
    const counting = new Proxy(namesake.certificate, {
      get(certificate, name) {
        if (name === 'x509') checks += 1
        return Reflect.get(certificate, name, certificate)
      },
    })
    for (let i = 0; i < 3; i++) expect(list?.isSignedBy(counting)).toBe(false)
    expect(checks).toBe(1)
    expect(list?.isSignedBy(authority.certificate)).toBe(true)
  })

  test('reads a list of fifty thousand within two seconds of computing', async () => {
    const serials = Array.from({ length: 50_000 }, (_, index) => (index + 1).toString(16))
    const pem = await authority.revocationList({ revoked: serials })
    expect(processorTime(() => expect(readRevocationLists(pem)[0]?.revokedCount).toBe(50_000))).toBeLessThan(2000)
  })

  test.each([
    ['an empty text', '', 'NO_CRL'],
    ['garbage', 'garbage', 'NO_CRL'],
    ['empty bytes', Buffer.alloc(0), 'NO_CRL'],
    ['DER that is no list', Buffer.from('3003020101', 'hex'), 'BAD_CRL'],
    ['DER that is cut off', Buffer.from('30820100', 'hex'), 'BAD_CRL'],
  ])('refuses %s', (_, source, code) => {
    expect(() => readRevocationLists(source)).toThrow(expect.objectContaining({ code }))
  })

  test('refuses a certificate, a damaged block and bytes after the end', async () => {
    const pem = await authority.revocationList()
    const der = Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ''), 'base64')
    expect(() => readRevocationLists(authority.pem)).toThrow(expect.objectContaining({ code: 'NO_CRL' }))
    expect(() => readRevocationLists(authority.der)).toThrow(expect.objectContaining({ code: 'BAD_CRL' }))
    expect(() => readRevocationLists(pem + pem.slice(0, -30))).toThrow(expect.objectContaining({ code: 'BAD_CRL' }))
    expect(() => readRevocationLists(Buffer.concat([der, Buffer.from([0])]))).toThrow(
      expect.objectContaining({ code: 'BAD_CRL' }),
    )
  })

  test('says of several lists in DER how they may be given', async () => {
    const der = Buffer.from((await authority.revocationList()).replace(/-----[^-]+-----|\s/g, ''), 'base64')
    expect(() => readRevocationLists(Buffer.concat([der, der]))).toThrow(
      `Revocation list 1 cannot be used: ${der.length} bytes follow its end; give several as PEM, or each in a file of its own.`,
    )
  })
})
