import { validateHeaderValue } from 'node:http'
import { describe, expect, test } from '@jest/globals'
import { IDENTITY_FIELDS as CONFIGURABLE } from '../../../src/config/schema/identity-fields.ts'
import { IDENTITY_FIELDS, type IdentityField } from '../../../src/identity/fields.ts'
import { createIdentityHeaders } from '../../../src/identity/identity-headers.ts'
import type { TemplatePart } from '../../../src/identity/template.ts'
import { fakeCertificate, fakeConnection } from '../../support/fake-connection.ts'
import { isKept } from '../../support/garbage.ts'
import fc from '../../support/random.ts'

const everyField = Object.fromEntries(IDENTITY_FIELDS.map((field) => [`X-${field}`, field]))

function headersOf(flat: readonly string[]): Record<string, string> {
  const pairs = Array.from({ length: flat.length / 2 }, (_, i) => [flat[2 * i], flat[2 * i + 1]])
  return Object.fromEntries(pairs)
}

describe('identity headers', () => {
  test('every field that can be configured can be written', () => {
    expect([...IDENTITY_FIELDS].sort()).toEqual(Object.keys(CONFIGURABLE).sort())
  })

  test('tell the certificate in the words of nginx', () => {
    const connection = fakeConnection({
      certificate: fakeCertificate(),
      verification: { result: 'SUCCESS' },
      resumed: true,
    })
    expect(headersOf(createIdentityHeaders({ headers: everyField }).for(connection).list)).toEqual({
      'X-verify': 'SUCCESS',
      'X-session_reused': 'r',
      'X-protocol': 'TLSv1.3',
      'X-cipher': 'TLS_AES_256_GCM_SHA384',
      'X-server_name': 'api.test',
      'X-subject_dn': 'CN=ada,O=Foo\\, Inc',
      'X-issuer_dn': 'CN=root',
      'X-subject_dn_legacy': '/O=Foo, Inc/CN=ada',
      'X-issuer_dn_legacy': '/CN=root',
      'X-serial': '00AB',
      'X-fingerprint': 'a'.repeat(40),
      'X-fingerprint_sha256': 'b'.repeat(64),
      'X-not_before': 'Feb  3 00:55:52 2015 GMT',
      'X-not_after': 'Feb  3 00:55:52 2035 GMT',
      'X-escaped_cert': '-----BEGIN%20CERTIFICATE-----%0AAAAA%0A-----END%20CERTIFICATE-----%0A',
      'X-rfc9440_cert': ':AAAA:',
      'X-cert_base64': 'AAAA',
      'X-x5t_s256': Buffer.from('b'.repeat(64), 'hex').toString('base64url'),
      'X-serial_decimal': '171',
      'X-subject_cn': 'ada',
      'X-spki_sha256': 'c2hh',
    })
  })

  test('tell the user in the words of Kong, and follow where the identity of a connection changes', () => {
    const ada = { id: '1', name: 'ada', groups: ['dev', 'a,b'], customId: 'c-7' }
    const identity = { user: ada, methods: ['certificate'], credential: 'cert-1', expiresAt: Number.POSITIVE_INFINITY }
    const headers = createIdentityHeaders({
      headers: {
        'X-Consumer-Username': 'user',
        'X-Consumer-ID': 'user_id',
        'X-Consumer-Custom-ID': 'custom_id',
        'X-Consumer-Groups': 'groups',
        'X-Credential-Identifier': 'credential',
        'X-Anonymous-Consumer': 'anonymous',
      },
    })
    const connection = fakeConnection()
    expect(headersOf(headers.for(connection, identity).list)).toEqual({
      'X-Consumer-Username': 'ada',
      'X-Consumer-ID': '1',
      'X-Consumer-Custom-ID': 'c-7',
      // A group whose name holds the separator must not pass for two.
      'X-Consumer-Groups': 'dev,a%2Cb',
      'X-Credential-Identifier': 'cert-1',
    })
    expect(headers.for(connection, identity)).toBe(headers.for(connection, identity))
    const anonymous = { ...identity, user: undefined, credential: undefined, methods: ['anonymous'] }
    expect(headers.for(connection, anonymous).list).toEqual(['X-Anonymous-Consumer', 'true'])
  })

  test('without a certificate only the facts of the connection are sent, with NONE', () => {
    const headers = createIdentityHeaders({ headers: { VERIFIED: 'verify', DN: 'subject_dn', Serial: 'serial' } })
    expect(headers.for(fakeConnection()).list).toEqual(['VERIFIED', 'NONE'])
  })

  test('a failed verification carries its reason and still the certificate', () => {
    const verification = { result: 'FAILED', reason: 'certificate has expired', code: 'CERT_HAS_EXPIRED' } as const
    const connection = fakeConnection({ verification, certificate: fakeCertificate({ subject: 'CN=bob' }) })
    const headers = createIdentityHeaders({ headers: { VERIFIED: 'verify', DN: 'subject_dn' } })
    expect(headers.for(connection).list).toEqual(['VERIFIED', 'FAILED:certificate has expired', 'DN', 'CN=bob'])
  })

  test('an empty subject sends no header, as nginx', () => {
    const connection = fakeConnection({ certificate: fakeCertificate({ subject: '' }) })
    expect(createIdentityHeaders({ headers: { DN: 'subject_dn' } }).for(connection).list).toEqual([])
  })

  test('are made once per connection and cannot be changed', () => {
    let asked = 0
    const certificate = fakeCertificate()
    Object.defineProperty(certificate, 'subject', {
      get: () => {
        asked += 1
        return 'CN=ada'
      },
    })
    const connection = fakeConnection({ certificate })
    const headers = createIdentityHeaders({ headers: { DN: 'subject_dn' } })
    expect(headers.for(connection)).toBe(headers.for(connection))
    expect(asked).toBe(1)
    expect(() => (headers.for(connection).list as string[]).push('X', 'y')).toThrow(TypeError)
    createIdentityHeaders({ headers: { DN: 'subject_dn' } }).for(connection)
    expect(asked).toBe(2)
  })

  test('of a configuration that was replaced are not kept by a connection that outlives it', async () => {
    const connection = fakeConnection()
    const [before, now] = [{ VERIFIED: 'verify' }, { Cipher: 'cipher' }] as const
    const made = (headers: typeof before | typeof now) => createIdentityHeaders({ headers }).for(connection)
    expect([made(before), made(now)].map(({ list }) => list[0])).toEqual(['VERIFIED', 'Cipher'])
    expect(
      await isKept(
        connection,
        () => made(before),
        () => made(now),
      ),
    ).toBe(false)
  })

  test('no alternative name can pass for two, and each can be read back', () => {
    const names = ['spiffe://td/x, spiffe://td/admin', 'spiffe://td/a%2Cb', 'spiffe://td/日本', 'a\r\nX-Evil: 1', ' b ']
    const alternativeNames = names.map((value) => ({ type: 'uri', value }) as const)
    const connection = fakeConnection({ certificate: fakeCertificate({ alternativeNames }) })
    const [, value = ''] = createIdentityHeaders({ headers: { URI: 'san_uri' } }).for(connection).list
    expect(value.split(', ').map(decodeURIComponent)).toEqual(names)
    expect(value).toContain('spiffe://td/%E6%97%A5%E6%9C%AC')
  })

  test('only names of the field’s own type are listed', () => {
    const alternativeNames = [
      { type: 'dns', value: 'a.test' },
      { type: 'ip', value: '192.0.2.9' },
      { type: 'dns', value: 'b.test' },
    ] as const
    const connection = fakeConnection({ certificate: fakeCertificate({ alternativeNames }) })
    expect(
      createIdentityHeaders({ headers: { D: 'san_dns', I: 'san_ip', E: 'san_email' } }).for(connection).list,
    ).toEqual(['D', 'a.test, b.test', 'I', '192.0.2.9'])
  })

  test('no text in a certificate or a handshake makes a value that node:http refuses', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.constantFrom<IdentityField>(...IDENTITY_FIELDS), (text, field) => {
        const certificate = fakeCertificate({
          subject: text,
          issuer: text,
          serial: text,
          subjectAttributes: [[{ oid: '2.5.4.3', shortName: 'CN', value: text, isText: true, raw: Buffer.alloc(0) }]],
          alternativeNames: [{ type: 'email', value: text }],
        })
        const verification = { result: 'FAILED', reason: text, code: 'X' } as const
        const connection = fakeConnection({ certificate, verification, serverName: text })
        const [, value = ''] = createIdentityHeaders({ headers: { Name: field } }).for(connection).list
        validateHeaderValue('Name', value)
        expect(value).toMatch(/^[\x20-\x7e]*$/)
      }),
    )
  })
})

describe('templates', () => {
  const connection = fakeConnection({
    certificate: fakeCertificate({ subject: 'CN=a\\"b,O=x;serial=1' }),
    verification: { result: 'SUCCESS' },
  })
  const written = (template: readonly TemplatePart[], as = connection) =>
    createIdentityHeaders({ headers: { X: template } }).for(as).list[1]

  test('mix facts and text, each fact filtered so that it cannot pass for the text', () => {
    const dn = { fact: 'subject_dn', filter: 'quoted' } as const
    expect(written(['id=', { fact: 'serial' }, ';dn=', dn])).toBe('id=00AB;dn="CN=a\\\\\\"b,O=x;serial=1"')
    expect(written(['dn=', { fact: 'subject_dn', filter: 'escaped' }])).toBe('dn=CN%3Da%5C%22b%2CO%3Dx%3Bserial%3D1')
    expect(written([{ fact: 'serial', filter: 'base64' }])).toBe('MDBBQg==')
  })

  test('are left out whole where one of their facts is missing', () => {
    expect(written(['id=', { fact: 'serial' }, ';user=', { fact: 'user', filter: 'quoted' }])).toBeUndefined()
    expect(written(['id=', { fact: 'serial' }], fakeConnection())).toBeUndefined()
  })
})

describe('a value that is too large', () => {
  const certificate = fakeCertificate({ escapedPem: 'x'.repeat(2000) })
  const connection = fakeConnection({ certificate, verification: { result: 'SUCCESS' } })
  const headers = createIdentityHeaders({ headers: { VERIFIED: 'verify', Cert: 'escaped_cert' }, maxSize: 1999 })

  test('refuses the request: of whom only a part is told is somebody else', () => {
    for (const _each of [1, 2]) {
      expect(() => headers.for(connection)).toThrow(
        expect.objectContaining({ code: 'GW_IDENTITY_TOO_LARGE', detail: expect.stringContaining('Cert') }),
      )
    }
  })

  test('which fits is written', () => {
    expect(
      createIdentityHeaders({ headers: { Cert: 'escaped_cert' }, maxSize: 2000 }).for(connection).list,
    ).toHaveLength(2)
  })
})
