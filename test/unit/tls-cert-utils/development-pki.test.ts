import { createPrivateKey } from 'node:crypto'
import { beforeAll, describe, expect, test } from '@jest/globals'
import {
  type Authority,
  createAuthority,
  encodeName,
  openAuthority,
  selfSigned,
} from '../../../src/tls-cert-utils/development-pki.ts'
import { openssl, opensslVerify } from './openssl.ts'

let root: Authority

beforeAll(async () => {
  root = await createAuthority({ subject: 'CN=Root,O=Acme' })
})

describe('certificates', () => {
  test.each(['ec', 'rsa', 'ed25519'] as const)('openssl verifies a chain of %s keys strictly', async (keyAlgorithm) => {
    const authority = await createAuthority({ keyAlgorithm })
    const intermediate = await authority.intermediate({ keyAlgorithm, pathLength: 0 })
    const leaf = await intermediate.issue({ subject: 'ada', keyAlgorithm, dnsNames: ['a.test'] })
    expect(await opensslVerify(authority.pem, leaf.pem, intermediate.pem, '-x509_strict')).toBe('leaf: OK\n')
    expect(leaf.chainPem).toBe(leaf.pem + intermediate.pem)
    expect(createPrivateKey(leaf.keyPem).asymmetricKeyType).toBe(keyAlgorithm)
  })

  test('have the names, usages and identifiers that were asked for', async () => {
    const leaf = await root.issue({
      subject: 'CN=api,OU=a\\,b+L=x,C=DE',
      dnsNames: ['api.test', '*.api.test'],
      ipAddresses: ['10.0.0.1', '::1', '2001:db8::5', '::ffff:1.2.3.4'],
      emails: ['a@b.test'],
      uris: ['spiffe://td/api'],
      usages: ['server'],
      serial: '0abc',
    })
    const text = openssl(['x509', '-noout', '-text', '-nameopt', 'RFC2253'], leaf.pem)
    for (const part of [
      'Serial Number: 2748 (0xabc)',
      'Issuer: CN=Root,O=Acme',
      'Subject: CN=api,OU=a\\,b+L=x,C=DE',
      'CA:FALSE',
      'TLS Web Server Authentication\n',
      'Digital Signature',
      'X509v3 Subject Key Identifier',
      'X509v3 Authority Key Identifier',
      'DNS:api.test, DNS:*.api.test, IP Address:10.0.0.1, IP Address:0:0:0:0:0:0:0:1, IP Address:2001:DB8:0:0:0:0:0:5, IP Address:0:0:0:0:0:FFFF:102:304, email:a@b.test, URI:spiffe://td/api',
    ]) {
      expect(text).toContain(part)
    }
  })

  test('serve both purposes unless told otherwise, and none is no extension', async () => {
    const usage = async (usages?: ('client' | 'server')[] | 'none') =>
      (await root.issue({ subject: 'x', ...(usages === undefined ? {} : { usages }) })).certificate.x509.keyUsage
    expect(await usage()).toHaveLength(2)
    expect(await usage(['client'])).toEqual(['1.3.6.1.5.5.7.3.2'])
    expect(await usage('none')).toBeUndefined()
  })

  test('have distinct positive serial numbers of 16 bytes', async () => {
    const issued = await Promise.all(Array.from({ length: 20 }, () => root.issue({ subject: 'x' })))
    expect(new Set(issued.map(({ serial }) => serial)).size).toBe(20)
    for (const { serial } of issued) expect(serial).toMatch(/^[4-7][0-9A-F]{31}$/)
  })

  test.each(['00', '7F', '80', 'FF', '-01', '-80', '-81', '-FF', '-8000', '0102'])(
    'have the serial number %s when told to',
    async (serial) => {
      const issued = await root.issue({ subject: 'x', serial })
      expect(issued.serial).toBe(serial)
      expect(openssl(['x509', '-noout', '-serial'], issued.pem)).toBe(`serial=${serial}\n`)
    },
  )

  test('keep dates to the second, before 1950 and after 2049 too', async () => {
    for (const [notBefore, notAfter] of [
      ['1949-01-01T00:00:00Z', '2050-01-01T00:00:00Z'],
      ['1950-01-01T00:00:00Z', '2049-12-31T23:59:59Z'],
    ].map((pair) => pair.map((text) => new Date(text))) as [Date, Date][]) {
      const { certificate } = await root.issue({ subject: 'x', notBefore, notAfter })
      expect([certificate.notBefore, certificate.notAfter]).toEqual([notBefore.getTime(), notAfter.getTime()])
      expect(certificate.x509.validToDate).toEqual(notAfter)
    }
  })

  test('take a bare common name, RFC 4514 text with escapes, or DER as subject', async () => {
    const subject = async (value: string | Uint8Array) => (await root.issue({ subject: value })).certificate.subject
    expect(await subject('ada, the first')).toBe('CN=ada\\, the first')
    expect(await subject('')).toBe('')
    expect(await subject('CN=a\\=b\\+c\\\\,O=\\C3\\A9')).toBe('CN=a=b\\+c\\\\,O=\\C3\\A9')
    expect(await subject('CN=日本,1.2.3.4=x')).toBe('CN=\\E6\\97\\A5\\E6\\9C\\AC,1.2.3.4=#0C0178')
    expect(await subject(encodeName([[{ oid: '2.5.4.3', tag: 20, value: Buffer.from([0xe9]) }]]))).toBe('CN=\\C3\\A9')
    await expect(root.issue({ subject: 'NONSENSE=x' })).rejects.toThrow('"NONSENSE" is no attribute type')
  })

  test('self-signed ones are no authorities', async () => {
    const { certificate } = await selfSigned({ subject: 'ada' })
    expect([
      certificate.isAuthority,
      certificate.selfIssued,
      certificate.x509.verify(certificate.x509.publicKey),
    ]).toEqual([false, true, true])
  })
})

describe('authorities', () => {
  test('can be opened again from their PEM texts, and issue under the same name', async () => {
    const intermediate = await root.intermediate()
    const opened = openAuthority(intermediate)
    const leaf = await opened.issue({ subject: 'ada' })
    expect(await opensslVerify(root.pem, leaf.pem, intermediate.pem)).toBe('leaf: OK\n')
    expect(leaf.chainPem).toBe(leaf.pem + intermediate.pem)
    expect(() => openAuthority({ pem: root.pem, keyPem: intermediate.keyPem })).toThrow('does not belong')
  })

  test('make revocation lists that openssl applies', async () => {
    const revoked = await root.issue({ subject: 'eve' })
    const valid = await root.issue({ subject: 'ada' })
    const list = await root.revocationList({ revoked: [revoked] })
    expect(await opensslVerify(root.pem + list, revoked.pem, '', '-crl_check')).toContain('certificate revoked')
    expect(await opensslVerify(root.pem + list, valid.pem, '', '-crl_check')).toBe('leaf: OK\n')
    const stale = await root.revocationList({ thisUpdate: new Date(0), nextUpdate: new Date(1) })
    expect(await opensslVerify(root.pem + stale, valid.pem, '', '-crl_check')).toContain('CRL has expired')
  })
})
