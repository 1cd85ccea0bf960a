import { validateHeaderValue } from 'node:http'
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { IDENTITY_FIELDS as CONFIGURABLE } from '../../../src/config/identity-headers.ts'
import { IDENTITY_FIELDS } from '../../../src/identity/fields.ts'
import {
  createIdentityHeaders,
  createRequestHeaderFilter,
  createResponseHeaderFilter,
  type IdentityField,
} from '../../../src/identity/headers.ts'
import { fakeCertificate, fakeConnection } from '../../support/fake-connection.ts'

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
    expect(headersOf(createIdentityHeaders(everyField).for(connection))).toEqual({
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
      'X-spki_sha256': 'c2hh',
    })
  })

  test('tell the user in the words of Kong, and follow where the identity of a connection changes', () => {
    const ada = { id: '1', name: 'ada', groups: ['dev', 'a,b'], customId: 'c-7' }
    const identity = { user: ada, methods: ['certificate'], credential: 'cert-1', expiresAt: Number.POSITIVE_INFINITY }
    const headers = createIdentityHeaders({
      'X-Consumer-Username': 'user',
      'X-Consumer-ID': 'user_id',
      'X-Consumer-Custom-ID': 'custom_id',
      'X-Consumer-Groups': 'groups',
      'X-Credential-Identifier': 'credential',
      'X-Anonymous-Consumer': 'anonymous',
    })
    const connection = fakeConnection()
    expect(headersOf(headers.for(connection, identity))).toEqual({
      'X-Consumer-Username': 'ada',
      'X-Consumer-ID': '1',
      'X-Consumer-Custom-ID': 'c-7',
      // A group whose name holds the separator must not pass for two.
      'X-Consumer-Groups': 'dev,a%2Cb',
      'X-Credential-Identifier': 'cert-1',
    })
    expect(headers.for(connection, identity)).toBe(headers.for(connection, identity))
    const anonymous = { ...identity, user: undefined, credential: undefined, methods: ['anonymous'] }
    expect(headers.for(connection, anonymous)).toEqual(['X-Anonymous-Consumer', 'true'])
  })

  test('without a certificate only the facts of the connection are sent, with NONE', () => {
    const headers = createIdentityHeaders({ VERIFIED: 'verify', DN: 'subject_dn', Serial: 'serial' })
    expect(headers.for(fakeConnection())).toEqual(['VERIFIED', 'NONE'])
  })

  test('a failed verification carries its reason and still the certificate', () => {
    const verification = { result: 'FAILED', reason: 'certificate has expired', code: 'CERT_HAS_EXPIRED' } as const
    const connection = fakeConnection({ verification, certificate: fakeCertificate({ subject: 'CN=bob' }) })
    const headers = createIdentityHeaders({ VERIFIED: 'verify', DN: 'subject_dn' })
    expect(headers.for(connection)).toEqual(['VERIFIED', 'FAILED:certificate has expired', 'DN', 'CN=bob'])
  })

  test('an empty subject sends no header, as nginx', () => {
    const connection = fakeConnection({ certificate: fakeCertificate({ subject: '' }) })
    expect(createIdentityHeaders({ DN: 'subject_dn' }).for(connection)).toEqual([])
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
    const headers = createIdentityHeaders({ DN: 'subject_dn' })
    expect(headers.for(connection)).toBe(headers.for(connection))
    expect(asked).toBe(1)
    expect(() => (headers.for(connection) as string[]).push('X', 'y')).toThrow(TypeError)
    createIdentityHeaders({ DN: 'subject_dn' }).for(connection)
    expect(asked).toBe(2)
  })

  test('no alternative name can pass for two, and each can be read back', () => {
    const names = ['spiffe://td/x, spiffe://td/admin', 'spiffe://td/a%2Cb', 'spiffe://td/日本', 'a\r\nX-Evil: 1', ' b ']
    const alternativeNames = names.map((value) => ({ type: 'uri', value }) as const)
    const connection = fakeConnection({ certificate: fakeCertificate({ alternativeNames }) })
    const [, value = ''] = createIdentityHeaders({ URI: 'san_uri' }).for(connection)
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
    expect(createIdentityHeaders({ D: 'san_dns', I: 'san_ip', E: 'san_email' }).for(connection)).toEqual([
      'D',
      'a.test, b.test',
      'I',
      '192.0.2.9',
    ])
  })

  test('no text in a certificate or a handshake makes a value that node:http refuses', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.constantFrom<IdentityField>(...IDENTITY_FIELDS), (text, field) => {
        const certificate = fakeCertificate({
          subject: text,
          issuer: text,
          serial: text,
          alternativeNames: [{ type: 'email', value: text }],
        })
        const verification = { result: 'FAILED', reason: text, code: 'X' } as const
        const connection = fakeConnection({ certificate, verification, serverName: text })
        const [, value = ''] = createIdentityHeaders({ Name: field }).for(connection)
        validateHeaderValue('Name', value)
        expect(value).toMatch(/^[\x20-\x7e]*$/)
      }),
    )
  })
})

describe('the request header filter', () => {
  const filter = createRequestHeaderFilter({ ownedNames: ['VERIFIED', 'DN', 'X-My.User'], underscores: false })
  const lenient = createRequestHeaderFilter({ ownedNames: ['VERIFIED', 'DN', 'X-My.User'], underscores: true })

  const through = (rawHeaders: string[], connection = '', { append } = filter): string[] => {
    const out: string[] = []
    append(
      rawHeaders,
      connection === '' ? undefined : new Set(connection.split(',').map((option) => option.trim().toLowerCase())),
      out,
    )
    return out
  }

  test('passes end-to-end headers as they are, in order, with duplicates', () => {
    const rawHeaders = ['Accept', '*/*', 'cookie', 'a=1', 'Cookie', 'b=2', 'Content-Encoding', 'gzip', 'X-Ünlike', 'x']
    expect(through(rawHeaders)).toEqual(rawHeaders.slice(0, -2))
  })

  test.each([
    ...['Host', 'Connection', 'Keep-Alive', 'Proxy-Connection', 'Proxy', 'Proxy-Authorization', 'TE', 'Trailer'],
    ...['Transfer-Encoding', 'Content-Length', 'Upgrade', 'HTTP2-Settings', 'Expect'],
  ])('drops %s, which belongs to the connection or to the framing', (name) => {
    for (const spelling of spellings(name)) {
      expect(through([spelling, 'x', 'A', 'b'])).toEqual(['A', 'b'])
      expect(through([spelling, 'x', 'A', 'b'], undefined, lenient)).toEqual(['A', 'b'])
    }
  })

  test.each([
    ...['VERIFIED', 'DN', 'X-My-User', 'Client-Cert', 'Client-Cert-Chain', 'X-Forwarded-Client-Cert'],
    ...['X-SSL-Client-Verify', 'X-SSL-Client-S-DN', 'SSL-Client-Cert', 'ssl-client-subject-dn', 'X-Client-Cert'],
    ...['X-Client-Certificate', 'X-Client-Cert-Chain', 'X-Consumer-Username', 'X-Consumer-Custom-ID'],
    ...['X-Credential-Identifier', 'X-Anonymous-Consumer', 'REMOTE-USER', 'X-Remote-User', 'X-Remote-Group'],
    ...['X-Remote-Extra-Scopes', 'X-Forwarded-Tls-Client-Cert', 'X-Forwarded-Tls-Client-Cert-Info'],
    ...['X-Amzn-Mtls-Clientcert-Subject', 'Cf-Client-Cert-Sha256', 'X-ARR-ClientCert', 'X-Auth-Request-User'],
    ...['X-Forwarded-User', 'X-Forwarded-For', 'X-Forwarded-Proto', 'X-Forwarded-Anything', 'Forwarded'],
    ...['X-Real-IP', 'X-Request-ID', 'X-SSL-Issuer', 'X-Client-Verify', 'X-Client-DN'],
  ])('drops every spelling of %s, which is not the client’s to say', (name) => {
    for (const spelling of spellings(name)) {
      expect(through([spelling, 'forged', 'A', 'b', spelling, 'again'])).toEqual(['A', 'b'])
      expect(through([spelling, 'forged', 'A', 'b', spelling, 'again'], undefined, lenient)).toEqual(['A', 'b'])
    }
  })

  test('drops what Connection names, in any case and spelling, but no more', () => {
    const rawHeaders = ['X-Secret', '1', 'x-secret', '2', 'X-Other', '3']
    expect(through(rawHeaders, 'close,  X-SECRET , keep-alive')).toEqual(['X-Other', '3'])
    expect(through(['X_Secret', '1'], 'x-secret', lenient)).toEqual([])
    expect(through(rawHeaders, 'keep-alive')).toEqual(rawHeaders)
    expect(through(rawHeaders, ',, ,')).toEqual(rawHeaders)
  })

  test('what was dropped because Connection named it passes in the next request', () => {
    expect(through(['X-Once', '1'], 'x-once')).toEqual([])
    expect(through(['X-Once', '1'])).toEqual(['X-Once', '1'])
  })

  test('odd names are dropped, as nginx’s ignore_invalid_headers, unless underscores are wanted', () => {
    const rawHeaders = ['X_User', '1', 'x.user', '2', 'a!b', '3', '__proto__', '4', 'constructor', '5']
    expect(through(rawHeaders)).toEqual(['constructor', '5'])
    expect(through(rawHeaders, undefined, lenient)).toEqual(rawHeaders)
  })

  test('the verdict on a name stays the same after more names than are remembered', () => {
    for (let i = 0; i < 5000; i++) expect(through([`X-N${i}`, 'v'])).toEqual([`X-N${i}`, 'v'])
    expect(through(['verified', 'SUCCESS', 'Accept', 'x'])).toEqual(['Accept', 'x'])
    const long = 'A'.repeat(10_000)
    expect(through([long, 'v'])).toEqual([long, 'v'])
  })

  test('no spelling of an owned name ever passes', () => {
    const owned = fc.constantFrom(
      'verified',
      'dn',
      'x-my-user',
      'client-cert',
      'x-ssl-client-verify',
      'x-forwarded-for',
    )
    const spelling = owned.chain((name) =>
      fc.tuple(...[...name].map((c) => fc.constantFrom(c, c.toUpperCase(), ...(c === '-' ? ['_', '.'] : [])))),
    )
    fc.assert(
      fc.property(spelling, (characters) => {
        expect(through([characters.join(''), 'x'])).toEqual([])
        expect(through([characters.join(''), 'x'], undefined, lenient)).toEqual([])
      }),
    )
  })
})

function spellings(name: string): string[] {
  return [name, name.toLowerCase(), name.toUpperCase(), name.replaceAll('-', '_'), name.replaceAll('-', '.')]
}

describe('the response header filter', () => {
  const filter = createResponseHeaderFilter({ ownedNames: ['VERIFIED', 'DN'], via: true })
  const ours = ['Via', '1.1 sallyport', 'X-Request-ID', 'id']

  test('passes end-to-end headers, strings or bytes, with their duplicates, then adds ours', () => {
    const rawHeaders = [
      'Content-Length',
      '3',
      'Set-Cookie',
      'a=1',
      'Set-Cookie',
      'b=2',
      'X-Latin',
      'caf\xe9',
      'ETag',
      '"e"',
    ]
    const bytes = rawHeaders.map((text) => Buffer.from(text, 'latin1'))
    expect(filter.forward(rawHeaders, 'id')).toEqual([...rawHeaders, ...ours])
    expect(filter.forward(bytes, 'id')).toEqual([...rawHeaders, ...ours])
  })

  test.each([
    ...[
      'Connection',
      'Keep-Alive',
      'Proxy-Connection',
      'Proxy-Authenticate',
      'Transfer-Encoding',
      'Upgrade',
      'Trailer',
    ],
    ...['TE', 'verified', 'DN', 'Client-Cert', 'X-Forwarded-Client-Cert', 'X-Request-ID', 'X_Consumer_ID'],
  ])('drops %s', (name) => {
    expect(filter.forward([name, 'x'], 'id')).toEqual(ours)
  })

  test('drops what the upstream’s Connection names, wherever it stands and however often', () => {
    const rawHeaders = ['X-A', '1', 'Connection', 'x-a', 'X-B', '2', 'CONNECTION', 'close, X-C', 'X-C', '3']
    expect(
      filter.forward(
        rawHeaders.map((text) => Buffer.from(text)),
        'id',
      ),
    ).toEqual(['X-B', '2', ...ours])
  })

  test('the same for trailers, without what is ours, and without a length', () => {
    const trailers = [
      'Expires',
      '0',
      'Content-Length',
      '5',
      'DN',
      'CN=evil',
      'Transfer-Encoding',
      'chunked',
      'X-Sum',
      'x',
    ]
    expect(filter.trailers(trailers.map((text) => Buffer.from(text)))).toEqual(['Expires', '0', 'X-Sum', 'x'])
  })

  test('adds no Via where it is not wanted', () => {
    const quiet = createResponseHeaderFilter({ ownedNames: [], via: false })
    expect(quiet.forward(['Via', '1.1 behind'], 'id')).toEqual(['Via', '1.1 behind', 'X-Request-ID', 'id'])
  })
})
