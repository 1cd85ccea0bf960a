import type { ServerConfig } from '../config/index.ts'
import { createRequirement, type Requirement } from '../listener/requirements.ts'
import { extendedKeyUsageIdentifier } from '../tls-cert-utils/extensions.ts'
import { attributeIdentifier } from '../tls-cert-utils/name-rules.ts'
import type { TrustStore } from '../tls-cert-utils/trust-store.ts'
import { digestOf, type Materials } from './materials.ts'

/** Whom a server trusts, and what it demands besides. */
export interface ClientTrust extends TrustStore {
  /** Whether the names of the authorities are sent to clients. */
  readonly announced: boolean
  readonly partialChain: boolean
  readonly requirement: Requirement
}

/** Undefined where the server asks for no certificate. What cannot be used is noted in `materials`. */
export function clientTrustOf(config: ServerConfig, materials: Materials): ClientTrust | undefined {
  if (config.ssl_verify_client === 'off') return undefined
  const { ssl_client_certificate: named, ssl_trusted_certificate: unnamed } = config
  const stores = [named, unnamed].flatMap((source) => (source ? [materials.trustStore(source, 'client')] : []))
  const certificates = stores.flatMap((store) => store?.certificates ?? [])
  const announced = named !== undefined && config.send_ca_dn !== false
  const requirement = requirementOf(config, materials)
  const partialChain = config.allow_partial_chain
  return {
    certificates,
    pems: certificates.map(({ pem }) => pem),
    announced,
    partialChain,
    requirement: requirement.check,
    digest: digestOf([stores.map((store) => store?.digest).sort(), [announced, partialChain], requirement.digest]),
  }
}

function requirementOf(config: ServerConfig, materials: Materials): { check: Requirement; digest: string } {
  const { ssl_verify_allow: allow, at } = config
  const options = {
    pins: config.pinned_certs.map((pin) => pin.toLowerCase()).sort(),
    policies: config.ssl_verify_policies,
    extendedKeyUsage: config.ssl_verify_extended_key_usage.map(extendedKeyUsageIdentifier),
    allow,
  }
  for (const [index, rule] of (allow ?? []).entries()) {
    for (const part of ['subject', 'issuer'] as const) {
      for (const name of Object.keys(rule[part])) {
        if (attributeIdentifier(name) !== undefined) continue
        materials.problem(
          `${at}.ssl_verify_allow[${index}].${part}.${name}`,
          "is no attribute that OpenSSL has a short name for; spell it as 'openssl x509 -subject' does (CN, OU, emailAddress), or write its object identifier",
        )
      }
    }
  }
  return { check: createRequirement(options), digest: digestOf([options]) }
}
