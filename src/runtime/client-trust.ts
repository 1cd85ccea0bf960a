import type { ServerConfig } from '../config/index.ts'
import { createRequirements, type Requirement } from '../listener/requirements.ts'
import { extendedKeyUsageIdentifier } from '../tls-cert-utils/extensions.ts'
import type { TrustStore } from '../tls-cert-utils/trust-store.ts'
import { digestOf, type Materials } from './materials.ts'
import { compiledNameRules } from './name-rules.ts'
import { rootlessAuthorities } from './warnings/never-works.ts'

/** The authorities that a server trusts for clients, and its further requirements. */
export interface ClientTrust extends TrustStore {
  /** Whether the names of the authorities are sent to clients. */
  readonly announced: boolean
  /** Those of `pems` whose names are not sent although the names of others are. */
  readonly unannouncedPems: readonly string[]
  readonly partialChain: boolean
  readonly requirements: readonly Requirement[]
}

const NOBODY_IS_ASKED =
  'has no effect while ssl_verify_client is off: no client is asked for a certificate; set it to on or optional (SALLYPORT_SSL_VERIFY_CLIENT)'

/** Undefined where the server asks for no certificate. What cannot be used is noted in `materials`. */
export function clientTrustOf(config: ServerConfig, materials: Materials): ClientTrust | undefined {
  if (config.ssl_verify_client === 'off') {
    // nginx does not warn. Whoever forgets ssl_verify_client believes that certificates are demanded.
    if (config.ssl_client_certificate) materials.warn(config.ssl_client_certificate.setting, NOBODY_IS_ASKED)
    return undefined
  }
  const { ssl_client_certificate: named, ssl_trusted_certificate: unnamed } = config
  const stores = [named, unnamed].map((source) => source && materials.trustStore(source, 'client', config.ssl_ciphers))
  const all = stores.flatMap((store) => store?.certificates ?? [])
  const certificates = [...new Map(all.map((each) => [each.fingerprintSha256, each])).values()]
  const announced = named !== undefined && config.send_ca_dn !== false
  const told = new Set(stores[0]?.pems)
  const unannouncedPems = announced ? (stores[1]?.pems ?? []).filter((pem) => !told.has(pem)) : []
  const { requirements, digest } = requirementsOf(config, materials)
  const partialChain = config.allow_partial_chain
  const trusted = named ?? unnamed
  if (trusted && !partialChain && config.ssl_verify_client !== 'optional_no_ca')
    for (const message of rootlessAuthorities(certificates)) materials.warn(trusted.setting, message)
  return {
    certificates,
    pems: certificates.map(({ pem }) => pem),
    announced,
    unannouncedPems,
    partialChain,
    requirements,
    digest: digestOf([
      announced ? stores.map((store) => store?.digest) : certificates.map((each) => each.fingerprintSha256).sort(),
      [announced, partialChain],
      digest,
    ]),
  }
}

function requirementsOf(
  config: ServerConfig,
  materials: Materials,
): { requirements: readonly Requirement[]; digest: string } {
  const { ssl_verify_allow: rules, at } = config
  const options = {
    pins: config.pinned_certs.map((pin) => pin.toLowerCase()).sort(),
    policies: config.ssl_verify_policies,
    extendedKeyUsage: config.ssl_verify_extended_key_usage.map(extendedKeyUsageIdentifier),
  }
  const isAllowed = rules && compiledNameRules(rules, `${at}.ssl_verify_allow`, materials)
  return { requirements: createRequirements({ ...options, isAllowed }), digest: digestOf([options, rules]) }
}
