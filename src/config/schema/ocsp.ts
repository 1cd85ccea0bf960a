/** Asking responders whether certificates are revoked, with the words of nginx's ssl module. */
import type { Problem } from '../../errors.ts'
import { field, type Kind } from './field.ts'
import { choice, integer, matching, onOff, positiveDuration } from './scalars.ts'

/** Answers are signed, so they may come in clear text; TLS would itself need a status first. */
const responderUrl = matching(/^http:\/\/[^\s/]+(\/\S*)?$/, 'a URL such as http://ocsp.example.com/')

/** In place of nginx's name and size of a zone, as shared:ocsp:10m. */
const answerCount: Kind<number> = {
  ...integer(1, 10_000_000),
  expected: 'how many answers, a whole number from 1 to 10000000',
}

/** Of a virtual server. */
export const ocspSettings = {
  ssl_ocsp: field(choice('off', 'on', 'leaf'), {
    default: 'off',
    env: 'SALLYPORT_SSL_OCSP',
    about:
      'Whether the OCSP responders that certificates name are asked about clients. on: about each certificate of the chain but the root. ' +
      "leaf: about the client's alone. Without an answer nobody is let in, as in nginx.",
  }),
  ssl_ocsp_responder: field(responderUrl, {
    env: 'SALLYPORT_SSL_OCSP_RESPONDER',
    otherwise: 'what the certificate names',
    about: 'The responder that is asked in place of those that certificates name.',
  }),
  ssl_ocsp_cache: field(answerCount, {
    default: 10_000,
    env: 'SALLYPORT_SSL_OCSP_CACHE',
    about: 'How many answers are remembered, each until its next update (one hour where it names none).',
  }),
  ssl_ocsp_timeout: field(positiveDuration, {
    default: '5s',
    env: 'SALLYPORT_SSL_OCSP_TIMEOUT',
    about: 'How long a responder may take for one answer.',
  }),
  ssl_ocsp_nonce: field(onOff, {
    default: 'off',
    env: 'SALLYPORT_SSL_OCSP_NONCE',
    about: 'Whether questions carry a nonce, so that no old answer can be shown again; many responders ignore it.',
  }),
  ssl_stapling: field(onOff, {
    default: 'off',
    env: 'SALLYPORT_SSL_STAPLING',
    about:
      "Whether clients are shown the OCSP answer about the server's own certificate, whose issuer must follow it in ssl_certificate.",
  }),
  ssl_stapling_responder: field(responderUrl, {
    env: 'SALLYPORT_SSL_STAPLING_RESPONDER',
    otherwise: 'what the certificate names',
    about: 'The responder that is asked about our own certificate.',
  }),
}

export function checkOcsp({ at, ssl_ocsp: ocsp }: { at: string; ssl_ocsp: string }, verify: string): Problem[] {
  if (ocsp === 'off' || (verify !== 'off' && verify !== 'optional_no_ca')) return []
  const message =
    `is incompatible with ssl_verify_client ${verify}, which verifies nothing that could be asked about; ` +
    'set ssl_verify_client to on or optional, or remove ssl_ocsp'
  return [{ path: `${at}.ssl_ocsp`, message }]
}
