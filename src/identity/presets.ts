/** The headers by which other gateways tell a backend who is calling, so that a backend made for one of them can read ours (docs/identity.md). */
import type { CertificateFacts } from '../tls-cert-utils/certificate.ts'
import type { Connection } from '../types.ts'
import type { IdentityField } from './fields.ts'
import { haproxyTime, haproxyVerify } from './haproxy.ts'
import { type HeaderValue, valueOfField } from './header-value.ts'
import { keystone } from './keystone.ts'
import { traefikCertificates, traefikInfo } from './traefik.ts'
import { createXfccElement, XFCC, type XfccDetail } from './xfcc.ts'

export type Preset = Readonly<Record<string, HeaderValue>>

/** From the certificate, whether or not it passed: only for presets that also have a header with the verdict. */
const shown =
  (value: (certificate: CertificateFacts) => string | undefined): HeaderValue =>
  ({ connection: { certificate } }) =>
    certificate && value(certificate)

/** Only where the certificate passed: these presets have no header with the verdict, so a backend takes what they say as proven. */
const proven =
  (value: HeaderValue): HeaderValue =>
  (facts) =>
    facts.connection.verification.result === 'SUCCESS' && facts.connection.certificate ? value(facts) : undefined

const provenFact = (field: IdentityField) => proven(valueOfField(field))

/** How many certificates of the chain get a variable. OpenSSL accepts longer chains; nobody sends them. */
const CHAIN_VARIABLES = 9

/** nginx has variables and no header names of its own; these are made from the names of its variables. */
const nginx: Preset = {
  'X-SSL-Client-Verify': valueOfField('verify'),
  'X-SSL-Client-S-DN': valueOfField('subject_dn'),
  'X-SSL-Client-I-DN': valueOfField('issuer_dn'),
  'X-SSL-Client-Serial': valueOfField('serial'),
  'X-SSL-Client-Fingerprint': valueOfField('fingerprint'),
  'X-SSL-Client-V-Start': valueOfField('not_before'),
  'X-SSL-Client-V-End': valueOfField('not_after'),
  'X-SSL-Client-Escaped-Cert': valueOfField('escaped_cert'),
}

const ingressNginx: Preset = {
  'ssl-client-verify': valueOfField('verify'),
  'ssl-client-subject-dn': valueOfField('subject_dn'),
  'ssl-client-issuer-dn': valueOfField('issuer_dn'),
  'ssl-client-cert': valueOfField('escaped_cert'),
}

/** Kong's tls-metadata-headers, and what its authentication plugins tell of the consumer. */
const kong: Preset = {
  'X-Client-Cert': provenFact('escaped_cert'),
  'X-Client-Cert-Serial': provenFact('serial'),
  'X-Client-Cert-Issuer-DN': provenFact('issuer_dn'),
  'X-Client-Cert-Subject-DN': provenFact('subject_dn'),
  'X-Client-Cert-Fingerprint': provenFact('fingerprint'),
  'X-Consumer-ID': valueOfField('user_id'),
  'X-Consumer-Custom-ID': valueOfField('custom_id'),
  'X-Consumer-Username': valueOfField('user'),
  'X-Consumer-Groups': valueOfField('groups'),
  'X-Credential-Identifier': valueOfField('credential'),
  'X-Anonymous-Consumer': valueOfField('anonymous'),
}

const traefik: Preset = {
  'X-Forwarded-Tls-Client-Cert': proven(({ connection }) => traefikCertificates(verifiedCertificates(connection))),
  'X-Forwarded-Tls-Client-Cert-Info': proven(({ connection }) => traefikInfo(verifiedCertificates(connection))),
}

/**
 * The headers of HAProxy's own examples; `%{+Q}` quotes nothing in a header. Names in HAProxy's oldest form, but in ASCII and with `/` escaped.
 * Without a certificate there is no X-SSL-Client-Verify: HAProxy's 0 would read as "good".
 */
const haproxy: Preset = {
  'X-SSL': ({ connection }) => (connection.protocol === '' ? undefined : '1'),
  'X-SSL-Client-Verify': ({ connection }) => haproxyVerify(connection.verification),
  'X-SSL-Client-SHA1': shown(({ fingerprintSha1 }) => fingerprintSha1.toUpperCase()),
  'X-SSL-Client-DN': valueOfField('subject_dn_legacy'),
  'X-SSL-Client-CN': valueOfField('subject_cn'),
  'X-SSL-Issuer': valueOfField('issuer_dn_legacy'),
  'X-SSL-Client-NotBefore': shown(({ notBefore }) => haproxyTime(notBefore)),
  'X-SSL-Client-NotAfter': shown(({ notAfter }) => haproxyTime(notAfter)),
  'X-SSL-Client-Cert': valueOfField('cert_base64'),
}

/** mod_ssl's variables as mod_headers writes them: the line ends of a PEM become blanks. */
const apache: Preset = {
  SSL_CLIENT_VERIFY: valueOfField('verify'),
  SSL_CLIENT_M_SERIAL: valueOfField('serial'),
  SSL_CLIENT_S_DN: valueOfField('subject_dn'),
  SSL_CLIENT_S_DN_CN: valueOfField('subject_cn'),
  SSL_CLIENT_I_DN: valueOfField('issuer_dn'),
  SSL_CLIENT_V_START: valueOfField('not_before'),
  SSL_CLIENT_V_END: valueOfField('not_after'),
  SSL_CLIENT_CERT: shown(({ pem }) => onOneLine(pem)),
  ...Object.fromEntries(
    Array.from({ length: CHAIN_VARIABLES }, (_, n): [string, HeaderValue] => [
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

/** Every header that a preset may write. */
export function headersOf(preset: PresetName): string[] {
  return Object.keys(PRESETS[preset]({ details: [] }))
}

function verifiedCertificates({ certificate, chain }: Connection): readonly CertificateFacts[] {
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
