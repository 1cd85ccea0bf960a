import { describe, expect, test } from '@jest/globals'
import { createRequestHeaderFilter, createResponseHeaderFilter } from '../../../src/identity/headers.ts'
import type { AnswerHeaders } from '../../../src/types.ts'
import { linesOf } from '../../../src/upstream/answer-head.ts'
import { readHeadText } from '../../../src/upstream/http1/head-reader.ts'
import fc from '../../support/random.ts'

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

/** The list that is made of a head, which has the same lines where no list is needed. */
function forwarded(filter: AnswerHeaders, rawHeaders: readonly string[]): string[] {
  const fields = Array.from(
    { length: rawHeaders.length / 2 },
    (_, i) => `${rawHeaders[2 * i]}: ${rawHeaders[2 * i + 1]}`,
  )
  const head = readHeadText(`${['HTTP/1.1 200 OK', ...fields].join('\r\n')}\r\n\r\n`)
  const list = filter.forward(head.headers, 'id')
  const lines = filter.lines(head, 'id')
  if (lines) expect(lines).toEqual(linesOf(list))
  return list
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
    expect(forwarded(filter, rawHeaders)).toEqual([...rawHeaders, ...ours])
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
    expect(forwarded(filter, [name, name === 'Transfer-Encoding' ? 'chunked' : 'x'])).toEqual(ours)
  })

  test('drops what the upstream’s Connection names, wherever it stands and however often', () => {
    const rawHeaders = ['X-A', '1', 'Connection', 'x-a', 'X-B', '2', 'CONNECTION', 'close, X-C', 'X-C', '3']
    expect(forwarded(filter, rawHeaders)).toEqual(['X-B', '2', ...ours])
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
    expect(forwarded(filter, ['VARY', vary, 'A', vary])).toEqual(['VARY', expected, 'A', vary, ...ours])
  })

  test.each([
    ['DN: x\r\nA:1\r\nB: \t2 \r\nConnection: close\r\nC: 3\r\nKeep-Alive: 5\r\n', 'A:1\r\nB: \t2 \r\nC: 3\r\n'],
    ['A: 1\r\nconnection: keep-alive\r\nDN: x\r\nDATE: 2\r\n', 'A: 1\r\nDATE: 2\r\n'],
    ['Content-Length: 0\r\n', 'Content-Length: 0\r\n'],
    ['DN: x\r\n', ''],
    ['', ''],
  ])('passes whole lines on as they came: %j', (received, expected) => {
    const lines = filter.lines(readHeadText(`HTTP/1.0 200 OK\r\n${received}\r\n`), 'id')
    expect(lines?.text).toBe(`${expected}Via: 1.1 sallyport\r\nX-Request-ID: id\r\n`)
    expect(lines?.hasDate).toBe(/date/i.test(received))
    expect(lines?.hasLength).toBe(received.includes('Content-Length'))
  })

  test.each(['Vary: DN', 'Vary: Accept', 'Connection: close, x-a', 'Connection: X-A'])(
    'takes a list to see what else goes by %s',
    (line) => {
      expect(filter.lines(readHeadText(`HTTP/1.1 200 OK\r\n${line}\r\n\r\n`), 'id')).toBeUndefined()
    },
  )

  test('adds no Via where it is not wanted', () => {
    const quiet = createResponseHeaderFilter({ ownedNames: [], via: false })
    expect(forwarded(quiet, ['Via', '1.1 behind'])).toEqual(['Via', '1.1 behind', 'X-Request-ID', 'id'])
  })
})
