import type { NameRuleConfig } from '../config/index.ts'
import type { CertificateFacts } from '../tls-cert-utils/certificate.ts'
import { attributeIdentifier, compileNameRules } from '../tls-cert-utils/name-rules.ts'
import type { Materials } from './materials.ts'

/** Compiles the rules that decide whether a certificate has an allowed name. Unknown attributes are reported to `materials`. */
export function compiledNameRules(
  rules: readonly NameRuleConfig[],
  path: string,
  materials: Materials,
): (certificate: CertificateFacts) => boolean {
  for (const [index, rule] of rules.entries()) {
    for (const part of ['subject', 'issuer'] as const) {
      for (const name of Object.keys(rule[part])) {
        if (attributeIdentifier(name) !== undefined) continue
        materials.problem(
          `${path}[${index}].${part}.${name}`,
          "is no attribute that OpenSSL has a short name for; spell it as 'openssl x509 -subject' does (CN, OU, emailAddress), or write its object identifier",
        )
      }
    }
  }
  return compileNameRules(rules)
}
