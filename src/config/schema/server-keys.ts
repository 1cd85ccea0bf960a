import type { Problem } from '../../errors.ts'
import type { WrittenServer } from './servers.ts'

/** Each certificate of a server needs its key. */
export function checkServerKey(given: WrittenServer): Problem[] {
  const { at, ssl_certificate: certificate, ssl_certificate_key: key } = given
  if (certificate && !key) {
    return [
      {
        path: `${at}.ssl_certificate`,
        message: 'has no key: set ssl_certificate_key too (SALLYPORT_SSL_CERTIFICATE_KEY)',
      },
    ]
  }
  if (key && !certificate) {
    return [
      {
        path: `${at}.ssl_certificate_key`,
        message: 'has no certificate: set ssl_certificate too (SALLYPORT_SSL_CERTIFICATE)',
      },
    ]
  }
  if (certificate && key && certificate.length !== key.length) {
    return [
      {
        path: `${at}.ssl_certificate_key`,
        message: `does not have as many entries as ssl_certificate (${key.length} and ${certificate.length}); write one key for each certificate, in the same order`,
      },
    ]
  }
  if (given.ssl_password && given.ssl_password_file !== undefined) {
    return [{ path: `${at}.ssl_password_file`, message: 'stands beside ssl_password; keep one of them' }]
  }
  return []
}
