/** The words in which other gateways tell a backend who is calling: whoever reads theirs can read ours (docs/identity.md). */
import type { CertificateFacts } from '../tls-cert-utils/certificate.ts'
import type { Connection, Identity } from '../types.ts'
import { type IdentityField, identityValue } from './fields.ts'
import { haproxyTime, haproxyVerify } from './haproxy.ts'
import { keystone } from './keystone.ts'
import { traefikCertificates, traefikInfo } from './traefik.ts'
import { createXfccElement } from './xfcc.ts'

/** What there is to tell about one connection and its caller. */
export interface Told {
  readonly connection: Connection
  readonly identity: Identity | undefined
  /** The URIs of the certificate that we showed the client, for XFCC's `By`. */
  readonly ownUris: readonly string[]
}

/** One header's value; undefined where there is nothing to say. */
export type Value = (told: Told) => string | undefined

export type Preset = Readonly<Record<string, Value>>

/** A field, in every case: of use where the verdict stands beside it. */
const fact =
  (field: IdentityField): Value =>
  ({ connection, identity }) =>
    identityValue(field, connection, identity)

/** Of a certificate that was shown, good or bad: only where the verdict stands beside it. */
const shown =
  (value: (certificate: CertificateFacts) => string | undefined): Value =>
  ({ connection: { certificate } }) =>
    certificate && value(certificate)

/**
 * Only of a certificate that passed: these dialects have no word for the verdict, so that a backend takes what they say as proven.
 */
const proven =
  (value: Value): Value =>
  (told) =>
    told.connection.verification.result === 'SUCCESS' && told.connection.certificate ? value(told) : undefined

const provenFact = (field: IdentityField) => proven(fact(field))

/** As many chain certificates as Apache's variables name here; OpenSSL takes more, nobody sends them. */
const CHAIN_VARIABLES = 9

/** nginx has variables but no names for headers; these are made of the variables' own. */
const nginx: Preset = {
  'X-SSL-Client-Verify': fact('verify'),
  'X-SSL-Client-S-DN': fact('subject_dn'),
  'X-SSL-Client-I-DN': fact('issuer_dn'),
  'X-SSL-Client-Serial': fact('serial'),
  'X-SSL-Client-Fingerprint': fact('fingerprint'),
  'X-SSL-Client-V-Start': fact('not_before'),
  'X-SSL-Client-V-End': fact('not_after'),
  'X-SSL-Client-Escaped-Cert': fact('escaped_cert'),
}

const ingressNginx: Preset = {
  'ssl-client-verify': fact('verify'),
  'ssl-client-subject-dn': fact('subject_dn'),
  'ssl-client-issuer-dn': fact('issuer_dn'),
  'ssl-client-cert': fact('escaped_cert'),
}

/** Kong's tls-metadata-headers, and what its authentication plugins tell of the consumer. */
const kong: Preset = {
  'X-Client-Cert': provenFact('escaped_cert'),
  'X-Client-Cert-Serial': provenFact('serial'),
  'X-Client-Cert-Issuer-DN': provenFact('issuer_dn'),
  'X-Client-Cert-Subject-DN': provenFact('subject_dn'),
  'X-Client-Cert-Fingerprint': provenFact('fingerprint'),
  'X-Consumer-ID': fact('user_id'),
  'X-Consumer-Custom-ID': fact('custom_id'),
  'X-Consumer-Username': fact('user'),
  'X-Consumer-Groups': fact('groups'),
  'X-Credential-Identifier': fact('credential'),
  'X-Anonymous-Consumer': fact('anonymous'),
}

const traefik: Preset = {
  'X-Forwarded-Tls-Client-Cert': proven(({ connection }) => traefikCertificates(sentCertificates(connection))),
  'X-Forwarded-Tls-Client-Cert-Info': proven(({ connection }) => traefikInfo(sentCertificates(connection))),
}

/**
 * The headers of HAProxy's own examples; `%{+Q}` quotes nothing in a header. Names in HAProxy's oldest form, but in ASCII and with `/` escaped.
 * Without a certificate there is no X-SSL-Client-Verify: HAProxy's 0 would read as "good".
 */
const haproxy: Preset = {
  'X-SSL': ({ connection }) => (connection.protocol === '' ? undefined : '1'),
  'X-SSL-Client-Verify': ({ connection }) => haproxyVerify(connection.verification),
  'X-SSL-Client-SHA1': shown(({ fingerprintSha1 }) => fingerprintSha1.toUpperCase()),
  'X-SSL-Client-DN': fact('subject_dn_legacy'),
  'X-SSL-Client-CN': fact('subject_cn'),
  'X-SSL-Issuer': fact('issuer_dn_legacy'),
  'X-SSL-Client-NotBefore': shown(({ notBefore }) => haproxyTime(notBefore)),
  'X-SSL-Client-NotAfter': shown(({ notAfter }) => haproxyTime(notAfter)),
  'X-SSL-Client-Cert': fact('cert_base64'),
}

/** mod_ssl's variables as mod_headers writes them: the line ends of a PEM become blanks. */
const apache: Preset = {
  SSL_CLIENT_VERIFY: fact('verify'),
  SSL_CLIENT_M_SERIAL: fact('serial'),
  SSL_CLIENT_S_DN: fact('subject_dn'),
  SSL_CLIENT_S_DN_CN: fact('subject_cn'),
  SSL_CLIENT_I_DN: fact('issuer_dn'),
  SSL_CLIENT_V_START: fact('not_before'),
  SSL_CLIENT_V_END: fact('not_after'),
  SSL_CLIENT_CERT: shown(({ pem }) => onOneLine(pem)),
  ...Object.fromEntries(
    Array.from({ length: CHAIN_VARIABLES }, (_, n): [string, Value] => [
      `SSL_CLIENT_CERT_CHAIN_${n}`,
      ({ connection: { chain } }) => chain[n] && onOneLine(chain[n].pem),
    ]),
  ),
}

const awsAlb: Preset = {
  'X-Amzn-Mtls-Clientcert-Serial-Number': provenFact('serial'),
  'X-Amzn-Mtls-Clientcert-Issuer': provenFact('issuer_dn'),
  'X-Amzn-Mtls-Clientcert-Subject': provenFact('subject_dn'),
  'X-Amzn-Mtls-Clientcert-Validity': proven(
    shown(({ notBefore, notAfter }) => `NotBefore=${isoSeconds(notBefore)};NotAfter=${isoSeconds(notAfter)}`),
  ),
  'X-Amzn-Mtls-Clientcert-Leaf': proven(shown(({ escapedPem }) => withSafeCharacters(escapedPem))),
}

export const XFCC = 'X-Forwarded-Client-Cert'

export const PRESETS = {
  nginx: () => nginx,
  'ingress-nginx': () => ingressNginx,
  kong: () => kong,
  traefik: () => traefik,
  haproxy: () => haproxy,
  apache: () => apache,
  'aws-alb': () => awsAlb,
  envoy: ({ details }) => ({ [XFCC]: proven(createXfccElement(details)) }),
  rfc9440: () => ({ 'Client-Cert': provenFact('rfc9440_cert'), 'Client-Cert-Chain': provenFact('chain_rfc9440') }),
  keystone: () => keystone,
  /** RFC 8705 3.1: the confirmation of a token that is bound to the certificate. */
  'x5t#S256': () => ({ 'X-Client-Cert-X5t-S256': provenFact('x5t_s256') }),
} as const satisfies Record<string, (options: PresetOptions) => Preset>

export type PresetName = keyof typeof PRESETS

export interface PresetOptions {
  /** Envoy's `set_current_client_cert_details`. */
  readonly details: readonly XfccDetail[]
}

export type XfccDetail = 'subject' | 'cert' | 'chain' | 'dns' | 'uri'

/** Every header that a preset may write. */
export function headersOf(preset: PresetName): string[] {
  return Object.keys(PRESETS[preset]({ details: [] }))
}

function sentCertificates({ certificate, chain }: Connection): readonly CertificateFacts[] {
  return certificate ? [certificate, ...chain] : []
}

function onOneLine(pem: string): string {
  return pem.replaceAll('\n', ' ').trimEnd()
}

function isoSeconds(time: number): string {
  return new Date(time).toISOString().replace(/\.\d+Z$/, 'Z')
}

/** AWS leaves `+`, `=` and `/` as they are. */
function withSafeCharacters(escapedPem: string): string {
  return escapedPem.replaceAll('%2B', '+').replaceAll('%2F', '/').replaceAll('%3D', '=')
}
