/** Traefik's passTLSClientCert: the client's certificates, and the facts in them. */
import type { CertificateFacts } from '../tls-cert-utils/certificate.ts'
import { decimal } from './fields.ts'

/** The DER of each certificate in base64, the client's own first. */
export function traefikCertificates(certificates: readonly CertificateFacts[]): string {
  return certificates.map(({ raw }) => raw.toString('base64')).join(',')
}

/**
 * Traefik writes values unescaped, so a `,` in an organization's name begins another attribute. Ours are percent-encoded where they hold a separator:
 * readers need not change, and no value can look like two.
 */
export function traefikInfo(certificates: readonly CertificateFacts[]): string {
  return queryEscape(certificates.map(infoOf).join(','))
}

/** Short names in Traefik's order. */
const SUBJECT: readonly (readonly [shortName: string, written: string])[] = [
  ['DC', 'DC'],
  ['C', 'C'],
  ['ST', 'ST'],
  ['L', 'L'],
  ['O', 'O'],
  ['OU', 'OU'],
  ['serialNumber', 'SN'],
  ['CN', 'CN'],
]

/** Traefik has no setting for the organizational units of an issuer. */
const ISSUER = SUBJECT.filter(([shortName]) => shortName !== 'OU')

/** Where there are several, Go keeps only the last. */
const SINGLE: ReadonlySet<string> = new Set(['serialNumber', 'CN'])

const SAN_ORDER = ['dns', 'email', 'ip', 'uri']

function infoOf(certificate: CertificateFacts): string {
  const subject = attributesOf(certificate.subjectAttributes, SUBJECT)
  const issuer = attributesOf(certificate.issuerAttributes, ISSUER)
  const names = SAN_ORDER.flatMap((type) => certificate.alternativeNames.filter((name) => name.type === type))
  const fields: [string, string][] = [
    ['Subject', subject],
    ['Issuer', issuer],
    ['SerialNumber', decimal(certificate.serial)],
    ['NB', seconds(certificate.notBefore)],
    ['NA', seconds(certificate.notAfter)],
    ['SAN', names.map(({ value }) => unambiguous(value)).join(',')],
  ]
  return fields
    .filter(([, value]) => value !== '')
    .map(([name, value]) => `${name}="${value}"`)
    .join(';')
}

function attributesOf(name: CertificateFacts['subjectAttributes'], attributes: typeof SUBJECT): string {
  const all = name.flat()
  return attributes
    .flatMap(([shortName, written]) => {
      const found = all.filter((attribute) => attribute.shortName === shortName)
      const told = SINGLE.has(shortName) ? found.slice(-1) : found
      return told.filter(({ value }) => value !== '').map(({ value }) => `${written}=${unambiguous(value)}`)
    })
    .join(',')
}

function unambiguous(value: string): string {
  return value.replace(/[%",;\\\p{C}]/gu, (character) => encodeURIComponent(character.toWellFormed()))
}

function seconds(time: number): string {
  return String(Math.floor(time / 1000))
}

/** Go's url.QueryEscape. */
function queryEscape(text: string): string {
  return encodeURIComponent(text.toWellFormed())
    .replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll('%20', '+')
}
