import { describe, expect, test } from '@jest/globals'
import { GatewayError } from '../../../src/errors.ts'
import { upstreamFailure } from '../../../src/upstream/failures.ts'

function failed(code: string | undefined, message = 'it failed'): GatewayError {
  return upstreamFailure(Object.assign(new Error(message), code === undefined ? {} : { code }), 'api:443')
}

test.each([
  ['ECONNREFUSED', 'GW_UPSTREAM_CONNECT'],
  ['EHOSTUNREACH', 'GW_UPSTREAM_CONNECT'],
  ['ENETUNREACH', 'GW_UPSTREAM_CONNECT'],
  ['ENOTFOUND', 'GW_UPSTREAM_CONNECT'],
  ['EAI_AGAIN', 'GW_UPSTREAM_CONNECT'],
  ['EMFILE', 'GW_OVERLOADED'],
  ['ENFILE', 'GW_OVERLOADED'],
  ['ETIMEDOUT', 'GW_UPSTREAM_TIMEOUT'],
  ['ECONNRESET', 'GW_UPSTREAM_RESET'],
  ['EPIPE', 'GW_UPSTREAM_RESET'],
  ['ERR_INVALID_CHAR', 'GW_UPSTREAM_RESPONSE'],
  ['ERR_TLS_CERT_ALTNAME_INVALID', 'GW_UPSTREAM_TLS'],
  ['CERT_HAS_EXPIRED', 'GW_UPSTREAM_TLS'],
  ['CERT_CHAIN_TOO_LONG', 'GW_UPSTREAM_TLS'],
  ['CRL_HAS_EXPIRED', 'GW_UPSTREAM_TLS'],
  ['SELF_SIGNED_CERT_IN_CHAIN', 'GW_UPSTREAM_TLS'],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', 'GW_UPSTREAM_TLS'],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'GW_UPSTREAM_TLS'],
  ['INVALID_CA', 'GW_UPSTREAM_TLS'],
  ['INVALID_PURPOSE', 'GW_UPSTREAM_TLS'],
  ['ERR_SSL_UNSUPPORTED_PROTOCOL', 'GW_UPSTREAM_TLS'],
  ['EPROTO', 'GW_UPSTREAM_TLS'],
  ['ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED', 'GW_UPSTREAM_REFUSED_CERTIFICATE'],
  ['ERR_SSL_TLSV1_ALERT_UNKNOWN_CA', 'GW_UPSTREAM_REFUSED_CERTIFICATE'],
  ['ERR_SSL_SSL/TLS_ALERT_BAD_CERTIFICATE', 'GW_UPSTREAM_REFUSED_CERTIFICATE'],
  ['ERR_SSL_TLSV1_ALERT_ACCESS_DENIED', 'GW_UPSTREAM_REFUSED_CERTIFICATE'],
  ['ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE', 'GW_UPSTREAM_TLS'],
  ['SOMETHING_NEW', 'GW_UPSTREAM_RESPONSE'],
  [undefined, 'GW_UPSTREAM_RESPONSE'],
])('%s is %s', (code, expected) => {
  expect(failed(code).code).toBe(expected)
})

test.each([
  'ssl/tls alert certificate expired',
  'tlsv13 alert certificate required',
  'sslv3 alert unsupported certificate',
  'tlsv1 alert unknown ca',
])('an alert is known by its sentence, too: %s', (sentence) => {
  expect(failed('EPROTO', `write EPROTO 00:error:0A:SSL routines:${sentence}:`).code).toBe(
    'GW_UPSTREAM_REFUSED_CERTIFICATE',
  )
})

describe('what the log is told', () => {
  test('the target, the reason and its code', () => {
    expect(failed('ECONNRESET', 'socket hang up').detail).toBe('api:443: socket hang up (ECONNRESET)')
  })
  test('of OpenSSL the reason alone', () => {
    const message =
      '40E3C286FE7E0000:error:0A00045C:SSL routines:ssl3_read_bytes:tlsv13 alert certificate required:a.c:9:\n'
    const reason = 'tlsv13 alert certificate required'
    const error = Object.assign(new Error(message), { code: 'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED', reason })
    expect(upstreamFailure(error, 'api:443').detail).toBe(
      `api:443: ${reason} (${error.code}); no certificate was shown: set proxy_ssl_certificate, or client_certificate of the service`,
    )
  })
  test.each([
    [
      'SELF_SIGNED_CERT_IN_CHAIN',
      'does proxy_ssl_trusted_certificate, or ca_certificates of the service, hold its authority?',
    ],
    [
      'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
      'does proxy_ssl_trusted_certificate, or ca_certificates of the service, hold its authority?',
    ],
    ['ERR_TLS_CERT_ALTNAME_INVALID', 'proxy_ssl_name is the name that it must hold, where another is meant'],
    [
      'ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE',
      'if it demands a certificate: is one that it trusts set as proxy_ssl_certificate, or client_certificate of the service?',
    ],
    [
      'ERR_SSL_SSL/TLS_ALERT_BAD_CERTIFICATE',
      'if it demands a certificate: is one that it trusts set as proxy_ssl_certificate, or client_certificate of the service?',
    ],
    ['ERR_SSL_WRONG_VERSION_NUMBER', 'does it speak plain HTTP, http:// in its url?'],
  ])('what to set after %s', (code, remedy) => {
    expect(failed(code, 'no').detail).toBe(`api:443: no (${code}); ${remedy}`)
  })
  test("none of Node's advice about its own flags", () => {
    const said =
      'self-signed certificate; if the root CA is installed locally, try running Node.js with --use-system-ca'
    const { detail } = failed('DEPTH_ZERO_SELF_SIGNED_CERT', said)
    expect(detail).toMatch(/^api:443: self-signed certificate \(DEPTH_ZERO_SELF_SIGNED_CERT\); does /)
  })
  test('no code twice', () => {
    expect(failed('ECONNREFUSED', 'connect ECONNREFUSED 127.0.0.1:1').detail).toBe(
      'api:443: connect ECONNREFUSED 127.0.0.1:1',
    )
  })
  test('the cause', () => {
    const cause = new Error('why')
    expect(upstreamFailure(cause, 'api:443').cause).toBe(cause)
  })
  test('of an error of our own: its code stays, the target is added', () => {
    const error = upstreamFailure(new GatewayError('GW_UPSTREAM_TIMEOUT', 'nothing came'), 'api:443')
    expect(error).toMatchObject({ code: 'GW_UPSTREAM_TIMEOUT', detail: 'api:443: nothing came' })
  })
  test.each(['GW_REQUEST_TIMEOUT', 'GW_OVERLOADED'] as const)('of %s, which is no fault of a target', (code) => {
    const error = new GatewayError(code, 'nothing came')
    expect(upstreamFailure(error, 'api:443')).toBe(error)
  })
})

test('of a name with several addresses, what each of them said', () => {
  const errors = ['::1', '127.0.0.1'].map((address) => new Error(`connect ECONNREFUSED ${address}:80`))
  const error = Object.assign(new AggregateError(errors), { code: 'ECONNREFUSED' })
  expect(upstreamFailure(error, 'api:80')).toMatchObject({
    code: 'GW_UPSTREAM_CONNECT',
    detail: 'api:80: connect ECONNREFUSED ::1:80; connect ECONNREFUSED 127.0.0.1:80',
  })
})
