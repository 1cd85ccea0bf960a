/** Compiles what a rule demands of a certificate. */
import type { CertificateFacts } from '../tls-cert-utils/certificate.ts'
import { compilePattern } from './pattern.ts'

export type CertificateField = 'cn' | 'ou' | 'o' | 'issuer' | 'subject' | 'dns' | 'email' | 'uri'

/** The values of a field, each as a whole. An expression without anchors must not match a part of a name. */
const TEXTS: Readonly<Record<CertificateField, (certificate: CertificateFacts) => readonly string[]>> = {
  cn: (certificate) => attribute(certificate, 'CN'),
  ou: (certificate) => attribute(certificate, 'OU'),
  o: (certificate) => attribute(certificate, 'O'),
  issuer: ({ issuer }) => [issuer],
  subject: ({ subject }) => [subject],
  dns: (certificate) => alternativeName(certificate, 'dns'),
  email: (certificate) => alternativeName(certificate, 'email'),
  uri: (certificate) => alternativeName(certificate, 'uri'),
}

/** @param values one of them must fit one of the field's texts */
export function createCertificateDemand(
  field: CertificateField,
  values: readonly string[],
): (certificate: CertificateFacts) => boolean {
  const patterns = values.map((value) => compilePattern(value, true))
  const texts = TEXTS[field]
  return (certificate) => texts(certificate).some((text) => patterns.some((pattern) => pattern.fits(text, undefined)))
}

function attribute({ subjectAttributes }: CertificateFacts, name: string): string[] {
  return subjectAttributes.flat().flatMap(({ shortName, value }) => (shortName === name ? [value] : []))
}

function alternativeName({ alternativeNames }: CertificateFacts, type: 'dns' | 'email' | 'uri'): string[] {
  return alternativeNames.flatMap((name) => (name.type === type ? [name.value] : []))
}
