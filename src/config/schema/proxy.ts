/** The way out: what holds for every upstream, with the words of nginx's proxy module. */
import type * as z from 'zod'
import type { Problem } from '../../errors.ts'
import { pem } from '../pem.ts'
import { secret } from '../secret.ts'
import { host } from './addresses.ts'
import { checkCrlSizes, crl, listSize, revocationCheckMode } from './crl.ts'
import { block, field, list } from './field.ts'
import { duration, integer, onOff } from './scalars.ts'
import { cipherList, SOUND_CIPHERS, tlsProtocol } from './tls.ts'

export const proxy = block('The way out: TLS to the upstreams and the connections that are kept to them.', {
  proxy_ssl_certificate: field(pem, {
    env: ['SECRET_CLIENT_CERT', 'SALLYPORT_PROXY_SSL_CERTIFICATE', 'KONG_CLIENT_SSL_CERT'],
    otherwise: 'no certificate is presented',
    about: "The gateway's own certificate, with its chain, that it presents to upstreams.",
  }),
  proxy_ssl_certificate_key: field(pem, {
    env: ['SECRET_CLIENT_KEY', 'SALLYPORT_PROXY_SSL_CERTIFICATE_KEY', 'KONG_CLIENT_SSL_CERT_KEY'],
    secret: true,
    about: 'The private key of proxy_ssl_certificate.',
  }),
  proxy_ssl_password: field(secret, {
    env: ['SECRET_CLIENT_KEY_PASSPHRASE', 'SALLYPORT_PROXY_SSL_PASSWORD'],
    secret: true,
    about: 'The passphrase of proxy_ssl_certificate_key.',
  }),
  proxy_ssl_trusted_certificate: field(pem, {
    env: 'SALLYPORT_PROXY_SSL_TRUSTED_CERTIFICATE',
    otherwise: "Node's list of public authorities",
    about: 'The authorities that may have issued the certificates of upstreams.',
  }),
  proxy_ssl_name: field(host, {
    env: 'SALLYPORT_PROXY_SSL_NAME',
    otherwise: 'the host of the service or of its target',
    about: "The name that is sent as server name and that the upstream's certificate must hold.",
  }),
  proxy_ssl_verify_depth: field(integer(0, 64), {
    default: 1,
    env: 'SALLYPORT_PROXY_SSL_VERIFY_DEPTH',
    about: "How many intermediate certificates may stand between the upstream's certificate and the authority.",
  }),
  proxy_ssl_crl: field(crl, {
    env: 'SALLYPORT_PROXY_SSL_CRL',
    about:
      'Revocation lists for the certificates of upstreams, as ssl_crl has for those of clients. Every authority of a chain needs one, as in nginx.',
  }),
  proxy_ssl_crl_max_size: field(listSize, {
    default: '512m',
    env: 'SALLYPORT_PROXY_SSL_CRL_MAX_SIZE',
    about: 'How large a file of proxy_ssl_crl may be, in bytes.',
  }),
  proxy_revocation_check_mode: field(revocationCheckMode, {
    default: 'STRICT',
    env: 'SALLYPORT_PROXY_REVOCATION_CHECK_MODE',
    about:
      'What a list of proxy_ssl_crl means that is missing or past its next update. STRICT: its upstreams are refused, as in nginx. ' +
      'IGNORE_CA_ERROR: they are asked unless an old list has them, and the log says so. SKIP: nobody looks at lists.',
  }),
  proxy_ssl_protocols: list(tlsProtocol, {
    default: ['TLSv1.2', 'TLSv1.3'],
    env: 'SALLYPORT_PROXY_SSL_PROTOCOLS',
    about: 'The TLS versions that are spoken with upstreams.',
  }),
  proxy_ssl_ciphers: field(cipherList, {
    default: SOUND_CIPHERS,
    env: 'SALLYPORT_PROXY_SSL_CIPHERS',
    about: "The cipher suites that are offered to upstreams, in OpenSSL's format; of TLS 1.3 as for ssl_ciphers.",
  }),
  unsafe_proxy_ssl_verify_off: field(onOff, {
    default: 'off',
    env: 'SALLYPORT_UNSAFE_PROXY_SSL_VERIFY_OFF',
    about:
      'Do not verify the certificates of upstreams: anybody in between can read and change everything. For tests only.',
  }),
  upstream_keepalive_pool_size: field(integer(0, 100_000), {
    default: 512,
    env: 'SALLYPORT_UPSTREAM_KEEPALIVE_POOL_SIZE',
    about: 'How many idle connections are kept for each target and TLS identity; 0 keeps none.',
  }),
  upstream_keepalive_idle_timeout: field(duration, {
    default: '60s',
    env: 'SALLYPORT_UPSTREAM_KEEPALIVE_IDLE_TIMEOUT',
    about: 'An idle connection is closed after so long, or a second before the upstream would (Keep-Alive: timeout=N).',
  }),
  upstream_keepalive_max_requests: field(integer(0, 2 ** 31 - 1), {
    default: 10_000,
    env: 'SALLYPORT_UPSTREAM_KEEPALIVE_MAX_REQUESTS',
    about:
      'A connection is closed after so many requests, so that one which is never idle also comes to where its name leads now; 0 for no limit.',
  }),
  dns_stale_ttl: field(duration, {
    default: '1h',
    env: 'SALLYPORT_DNS_STALE_TTL',
    about:
      "Kong's: for so long the last addresses of an upstream's name are used while no name server answers; 0 for not at all. A name that is gone (NXDOMAIN) is gone at once.",
  }),
  upstream_max_connections: field(integer(1, 100_000), {
    default: 1024,
    env: 'SALLYPORT_UPSTREAM_MAX_CONNECTIONS',
    about:
      'How many connections to one target may be open at once, as max_conns in nginx. A request goes to another target then; where all of them are at their limit it gets 503 at once and does not wait. Several workers share it out, so that it holds roughly.',
  }),
})

export type ProxyConfig = z.output<typeof proxy>

export function checkProxy(given: ProxyConfig): Problem[] {
  const { proxy_ssl_certificate: certificate, proxy_ssl_certificate_key: key, proxy_ssl_password: password } = given
  const problems = checkCrlSizes(given.proxy_ssl_crl, given.proxy_ssl_crl_max_size, 'proxy_ssl_crl_max_size')
  if (certificate && !key) {
    problems.push({
      path: 'proxy.proxy_ssl_certificate',
      message: 'has no key: set proxy_ssl_certificate_key too (SECRET_CLIENT_KEY, or KONG_CLIENT_SSL_CERT_KEY)',
    })
  }
  if (key && !certificate) {
    problems.push({
      path: 'proxy.proxy_ssl_certificate_key',
      message: 'has no certificate: set proxy_ssl_certificate too (SECRET_CLIENT_CERT, or KONG_CLIENT_SSL_CERT)',
    })
  }
  if (password && !key) {
    problems.push({
      path: 'proxy.proxy_ssl_password',
      message: 'is a passphrase without a key: set proxy_ssl_certificate_key too (SECRET_CLIENT_KEY)',
    })
  }
  if (given.proxy_ssl_protocols.length === 0)
    problems.push({ path: 'proxy.proxy_ssl_protocols', message: 'is empty; expected TLSv1.2, TLSv1.3 or both' })
  return problems
}
