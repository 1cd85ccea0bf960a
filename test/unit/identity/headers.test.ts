import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { createRequestHeaderFilter, createResponseHeaderFilter } from '../../../src/identity/headers.ts'

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
    ...['X-Real-IP', 'X-Request-ID', 'X-SSL-Issuer', 'X-SSL-Cert', 'X-Client-Verify', 'X-Client-DN'],
    ...['X-MS-CLIENT-PRINCIPAL', 'X-MS-CLIENT-PRINCIPAL-NAME', 'X-Goog-Authenticated-User-Email', 'Cf-Cert-Verified'],
    ...['Tailscale-User-Login', 'Remote-Groups', 'Remote-Email', 'X-Amzn-Oidc-Identity', 'SM_USER', 'IV-User'],
    ...['X-ClientCert-Subject', 'X-Authenticated-User', 'X-Pomerium-Claim-Email', 'X-Authentik-Username'],
    ...['X-Vouch-User', 'X-Userinfo', 'Cf-Access-Authenticated-User-Email', 'X-Service-Roles', 'X-Forwarded'],
    ...['X-SSL-Client-Anything', 'SSL-Client-Anything', 'X-Consumer-Anything', 'X-Amzn-Mtls-Anything'],
  ])('drops every spelling of %s, which is not the client’s to say', (name) => {
    for (const spelling of spellings(name)) {
      expect(through([spelling, 'forged', 'A', 'b', spelling, 'again'])).toEqual(['A', 'b'])
      expect(through([spelling, 'forged', 'A', 'b', spelling, 'again'], undefined, lenient)).toEqual(['A', 'b'])
    }
  })

  test.each(['X-Goog-IAP-JWT-Assertion', 'X-Amzn-Oidc-Data', 'Cf-Access-Jwt-Assertion'])(
    'lets %s pass, which a backend verifies by its signature',
    (name) => {
      expect(through([name, 'signed'])).toEqual([name, 'signed'])
    },
  )

  test('drops what Connection names, in any case and spelling, but no more', () => {
    const rawHeaders = ['X-Secret', '1', 'x-secret', '2', 'X-Other', '3']
    expect(through(rawHeaders, 'close,  X-SECRET , keep-alive')).toEqual(['X-Other', '3'])
    expect(through(['X_Secret', '1'], 'x-secret', lenient)).toEqual([])
    expect(through(['X_Secret', '1'], 'x_secret', lenient)).toEqual([])
    expect(through(rawHeaders, 'keep-alive')).toEqual(rawHeaders)
    expect(through(rawHeaders, ',, ,')).toEqual(rawHeaders)
  })

  test('what was dropped because Connection named it passes in the next request', () => {
    expect(through(['X-Once', '1'], 'x-once')).toEqual([])
    expect(through(['X-Once', '1'])).toEqual(['X-Once', '1'])
  })

  test('odd names are dropped, as nginx’s ignore_invalid_headers, unless underscores are wanted', () => {
    const rawHeaders = ['X_Thing', '1', 'x.thing', '2', 'a!b', '3', '__proto__', '4', 'constructor', '5']
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
  const filter = createResponseHeaderFilter({ ownedNames: ['VERIFIED', 'X-Who'], via: true })
  const ours = ['Via', '1.1 sallyport', 'X-Request-ID', 'id']

  test('passes end-to-end headers with their duplicates, then adds ours', () => {
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
    expect(filter.forward(rawHeaders, 'id')).toEqual([...rawHeaders, ...ours])
  })

  test.each([
    ...[
      'Connection',
      'Keep-Alive',
      'Proxy-Connection',
      'Proxy-Authenticate',
      'Proxy-Authentication-Info',
      'Transfer-Encoding',
      'Upgrade',
      'Trailer',
    ],
    ...['TE', 'verified', 'DN', 'Client-Cert', 'X-Forwarded-Client-Cert', 'X-Request-ID', 'X_Consumer_ID', 'x_who'],
  ])('drops %s', (name) => {
    expect(filter.forward([name, 'x'], 'id')).toEqual(ours)
  })

  test('drops what the upstream’s Connection names, wherever it stands and however often', () => {
    const rawHeaders = ['X-A', '1', 'Connection', 'x-a', 'X-B', '2', 'CONNECTION', 'close, X-C', 'X-C', '3']
    expect(filter.forward(rawHeaders, 'id')).toEqual(['X-B', '2', ...ours])
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
    expect(filter.trailers(trailers)).toEqual(['Expires', '0', 'X-Sum', 'x'])
  })

  test.each([
    ['DN', '*'],
    ['X-Who', '*'],
    ['accept-encoding, client_cert', '*'],
    ['Accept-Encoding, X-Forwarded-Proto', 'Accept-Encoding, X-Forwarded-Proto'],
  ])('an answer that varies by %s varies by %s for whoever keeps it', (vary, expected) => {
    expect(filter.forward(['VARY', vary, 'A', vary], 'id')).toEqual(['VARY', expected, 'A', vary, ...ours])
  })

  test('adds no Via where it is not wanted', () => {
    const quiet = createResponseHeaderFilter({ ownedNames: [], via: false })
    expect(quiet.forward(['Via', '1.1 behind'], 'id')).toEqual(['Via', '1.1 behind', 'X-Request-ID', 'id'])
  })
})
