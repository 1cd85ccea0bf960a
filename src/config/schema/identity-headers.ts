/** The headers that tell the backend who is calling. */
import type { Problem } from '../../errors.ts'
import { field, type Kind, list, map, Unfit } from './field.ts'
import type { IdentityField } from './identity-fields.ts'
import { type IdentityTemplate, identityValue } from './identity-template.ts'
import { choice, size } from './scalars.ts'

/** Header name, as written, to what it holds. */
export type IdentityHeaders = Readonly<Record<string, IdentityField | IdentityTemplate>>

const identityHeaders = map(identityValue, {
  default: { VERIFIED: 'verify', DN: 'subject_dn' },
  about:
    'The headers that tell the backend who is calling, by name. Writing this setting replaces the default as a whole. ' +
    'Whatever a client sends under one of these names, in any spelling, is removed.',
})

/** Presets for backends that already read another gateway's headers. */
export const IDENTITY_PRESETS = {
  nginx: "nginx's variables under their own names: X-SSL-Client-Verify, X-SSL-Client-S-DN and so on",
  'ingress-nginx': 'ssl-client-verify, ssl-client-subject-dn, ssl-client-issuer-dn, ssl-client-cert',
  kong: 'X-Client-Cert and its kin, and X-Consumer-* of the user',
  traefik: 'X-Forwarded-Tls-Client-Cert and X-Forwarded-Tls-Client-Cert-Info',
  haproxy: 'X-SSL, X-SSL-Client-Verify (0 is good), X-SSL-Client-DN and so on',
  apache: 'SSL_CLIENT_VERIFY, SSL_CLIENT_S_DN, SSL_CLIENT_CERT and so on; names with _ are dropped by nginx',
  'aws-alb': "X-Amzn-Mtls-Clientcert-Serial-Number, -Issuer, -Subject, -Validity and -Leaf, as in ALB's verify mode",
  envoy: 'X-Forwarded-Client-Cert (XFCC)',
  rfc9440: 'Client-Cert and Client-Cert-Chain (RFC 9440)',
  keystone: 'X-Identity-Status, X-User-Id, X-Project-Id, X-Roles and so on, as keystonemiddleware writes them',
  'x5t#S256': 'X-Client-Cert-X5t-S256: the confirmation of RFC 8705',
} as const

export const identitySettings = {
  identity_headers: identityHeaders,
  identity_presets: list(choice(...(Object.keys(IDENTITY_PRESETS) as (keyof typeof IDENTITY_PRESETS)[])), {
    default: [],
    env: 'SALLYPORT_IDENTITY_PRESETS',
    about: 'Dialects of other gateways in which the backend is told who is calling as well, besides identity_headers.',
  }),
  identity_headers_max_size: field(size(256, 1024 * 1024), {
    default: '32k',
    env: 'SALLYPORT_IDENTITY_HEADERS_MAX_SIZE',
    about: 'The largest value of one identity header; who would need more is refused with 400 GW_IDENTITY_TOO_LARGE.',
  }),
  forward_client_cert_details: field(
    choice('SANITIZE', 'FORWARD_ONLY', 'APPEND_FORWARD', 'SANITIZE_SET', 'ALWAYS_FORWARD_ONLY'),
    {
      default: 'SANITIZE_SET',
      env: 'SALLYPORT_FORWARD_CLIENT_CERT_DETAILS',
      about:
        "What the preset envoy does with an X-Forwarded-Client-Cert of the client's, in Envoy's words. The modes that forward it believe " +
        'only peers in trusted_ips.',
    },
  ),
  set_current_client_cert_details: list(choice('subject', 'cert', 'chain', 'dns', 'uri'), {
    default: ['subject', 'dns', 'uri'],
    env: 'SALLYPORT_SET_CURRENT_CLIENT_CERT_DETAILS',
    about: "What the preset envoy tells besides By and Hash, in Envoy's words.",
  }),
}

/** Framing, routing and forwarding belong to HTTP and to the gateway: an identity header with such a name would break or forge them. */
const RESERVED =
  /^(host|connection|content-.*|transfer-encoding|te|trailer|upgrade|keep-alive|proxy-.*|expect|via|forwarded|x-forwarded-.*|x-real-ip|x-request-id|date|cookie|set-cookie|range|if-.*|accept.*|authorization|origin)$/

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/

/** A name that only we may write. */
export const headerName: Kind<string> = {
  expected: 'the name of a header that HTTP and the gateway have no use for, such as X-Client-Cert',
  json: { type: 'string' },
  parse(value) {
    if (
      typeof value === 'string' &&
      TOKEN.test(value) &&
      (!RESERVED.test(folded(value)) || TELLS_CERTIFICATE.test(folded(value)))
    )
      return value
    throw new Unfit('')
  },
}

/** The names among the gateway's own that hold other gateways' certificates. */
const TELLS_CERTIFICATE = /^x-forwarded-(tls-)?client-cert$/

/** Backends behind CGI cannot tell `X-User`, `X_User` and `X.User` apart. */
function folded(name: string): string {
  return name.toLowerCase().replaceAll(/[_.]/g, '-')
}

export function checkIdentityHeaders(headers: IdentityHeaders, at: string): Problem[] {
  const seen = new Map<string, string>()
  return Object.keys(headers).flatMap((name) => {
    const path = `${at}.${name}`
    const other = seen.get(folded(name))
    seen.set(folded(name), name)
    if (!TOKEN.test(name))
      return [{ path, message: 'is no header name; expected letters, digits and hyphens (RFC 9110 5.6.2)' }]
    if (RESERVED.test(folded(name)))
      return [{ path, message: 'belongs to HTTP or to the gateway; choose another name, such as X-Client-DN' }]
    if (other !== undefined)
      return [{ path, message: `is the same header as "${other}" for many backends; choose another name` }]
    return []
  })
}

/** Reports settings of the preset envoy that would have no effect. */
export function checkForwarding(given: {
  readonly identity_presets: readonly string[]
  readonly forward_client_cert_details: string
  readonly trusted_ips: readonly string[]
}): Problem[] {
  const { identity_presets: presets, forward_client_cert_details: mode, trusted_ips: trusted } = given
  const path = 'forward_client_cert_details'
  if (mode === 'SANITIZE_SET') return []
  if (!presets.includes('envoy')) return [{ path, message: 'has no effect without envoy in identity_presets; add it' }]
  if (mode === 'SANITIZE' || trusted.length > 0) return []
  return [{ path, message: `${mode} needs trusted_ips: nobody else's X-Forwarded-Client-Cert is believed` }]
}
