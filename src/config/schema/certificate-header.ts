/** The client's certificate in a header: which load balancers may send it, and how. */
import type { Problem } from '../../errors.ts'
import { field } from './field.ts'
import { headerName } from './identity-headers.ts'
import { choice } from './scalars.ts'

export const certificateHeaderSettings = {
  certificate_header_format: field(choice('off', 'url_encoded', 'base64_encoded', 'pem', 'rfc9440', 'xfcc'), {
    default: 'off',
    env: 'SALLYPORT_CERTIFICATE_HEADER_FORMAT',
    about:
      "Whether load balancers in trusted_ips tell the client's certificate in a header, for each request, instead of the one of their own connection. It is verified like one that " +
      'came by TLS. url_encoded: PEM, as of nginx and AWS; base64_encoded: DER, as of Traefik and Cloudflare; pem: PEM on one line, as of Apache; rfc9440: Client-Cert and Client-Cert-Chain; xfcc: Cert and Chain, as of Envoy.',
  }),
  certificate_header_name: field(headerName, {
    env: 'SALLYPORT_CERTIFICATE_HEADER_NAME',
    otherwise: 'Client-Cert for rfc9440, X-Forwarded-Client-Cert for xfcc',
    about: 'The header for certificate_header_format. Everybody else who sends it is not believed: it is removed.',
  }),
}

type CertificateHeaderFormat = 'url_encoded' | 'base64_encoded' | 'pem' | 'rfc9440' | 'xfcc'

/** Formats whose header has no usual name. */
const LEAVES_NAME_OPEN: ReadonlySet<string> = new Set(['url_encoded', 'base64_encoded', 'pem'])

interface CertificateHeaderConfig {
  readonly at: string
  readonly certificate_header_format: 'off' | CertificateHeaderFormat
  readonly certificate_header_name?: string | undefined
}

/** @param mode the server's ssl_verify_client */
export function checkCertificateHeader(given: CertificateHeaderConfig, mode: string): Problem[] {
  const { at, certificate_header_format: format, certificate_header_name: name } = given
  const isOpen = LEAVES_NAME_OPEN.has(format)
  const path = `${at}.certificate_header_name`
  if (name !== undefined && !isOpen) {
    const message = `belongs to url_encoded, base64_encoded and pem; remove it, as certificate_header_format is ${format}`
    return [{ path, message }]
  }
  if (name === undefined && isOpen) {
    return [{ path, message: `is missing; name the header that is ${format}, such as X-SSL-Client-Escaped-Cert` }]
  }
  if (format === 'off' || mode !== 'off') return []
  const message = 'has no effect while ssl_verify_client is off; set that to on or optional'
  return [{ path: `${at}.certificate_header_format`, message }]
}

/** Reports a header that everybody may send: it would prove nothing. */
export function checkTrustedBalancers(
  servers: readonly CertificateHeaderConfig[],
  trusted: readonly string[] | undefined,
): Problem[] {
  if (trusted === undefined || trusted.length > 0) return []
  return servers
    .filter(({ certificate_header_format: format }) => format !== undefined && format !== 'off')
    .map(({ at }) => ({
      path: `${at}.certificate_header_format`,
      message:
        'needs trusted_ips: name the load balancers whose word about a certificate is believed (SALLYPORT_TRUSTED_IPS)',
    }))
}
