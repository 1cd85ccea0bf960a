import { createSecureContext, type SecureContext, type SecureVersion } from 'node:tls'
import type { CertificateConfig, ListenerConfig, ServerConfig } from '../config/index.ts'
import { secureContextOptions, TrustPolicy, type TrustPolicyOptions } from '../listener/trust-policy.ts'
import { ServerNames } from '../routing/server-names.ts'
import type { KeyPair } from '../tls-cert-utils/key-pair.ts'
import type { VirtualServer } from '../types.ts'
import { digestOf, type Materials } from './materials.ts'

/** A server of a listener with what its handshakes need. */
interface Prepared {
  readonly config: ServerConfig
  readonly virtual: VirtualServer
  readonly options: TrustPolicyOptions
  readonly pair: KeyPair | undefined
}

/** What the servers of one listener come to. */
export interface ListenerServers {
  readonly virtualFor: (host: string) => VirtualServer
  readonly policyFor: (serverName: string | undefined) => TrustPolicy
  /** The URIs of the certificate that a client with this server name is shown. */
  readonly ownUris: (serverName: string | undefined) => readonly string[]
  /** Open connections that were judged by another policy are of no use any more. */
  readonly policyIds: ReadonlySet<string>
}

/** Policies by everything that they are made of, so that those which a reload does not change keep their sessions. */
export type PolicyRegistry = Map<string, TrustPolicy>

/**
 * Makes the trust policies of a listener. Undefined where a certificate, CA or list cannot be used; `materials` has the
 * problems then. `known` holds the policies in use, `used` collects those of this configuration.
 */
export function prepareServers(
  listener: ListenerConfig,
  certificates: readonly CertificateConfig[],
  materials: Materials,
  known: PolicyRegistry,
  used: PolicyRegistry,
): ListenerServers | undefined {
  const before = materials.problems.length
  const bySni = certificatesByName(certificates, materials)
  const prepared = listener.servers.map((server) => prepareServer(server, listener, bySni, materials))
  const fallback = prepared.find(({ config }) => config.default_server)
  if (materials.problems.length > before || !fallback) return undefined

  const entries = prepared.flatMap((server) => server.config.server_names.map((name) => [name, server] as const))
  const names = new ServerNames(entries, fallback)
  const policies = new Map<string, TrustPolicy>()
  for (const id of new Set(prepared.map(({ options }) => options.id))) {
    policies.set(
      id,
      policyOf(
        prepared.filter(({ options }) => options.id === id),
        { names, bySni, known, used },
      ),
    )
  }
  return {
    virtualFor: (host) => names.find(host).virtual,
    policyFor: (serverName) => policies.get(names.find(serverName).options.id) as TrustPolicy,
    ownUris: (serverName) => {
      const server = names.find(serverName)
      const pair = server.pair ?? bySni.find(serverName ?? server.config.server_names[0])
      return (pair?.certificates[0]?.alternativeNames ?? [])
        .filter(({ type }) => type === 'uri')
        .map(({ value }) => value)
    },
    policyIds: new Set(policies.keys()),
  }
}

/** Kong's `certificates` and `snis`: the certificate of a server name that no server has one of its own for. */
interface CertificatesByName {
  find(name: string | undefined): KeyPair | undefined
  readonly digest: string
}

function certificatesByName(certificates: readonly CertificateConfig[], materials: Materials): CertificatesByName {
  const entries: [string, KeyPair][] = []
  let fallback: KeyPair | undefined
  for (const { at, name, cert, key, passphrase, snis } of certificates) {
    const pair = materials.keyPair({
      role: 'server',
      name,
      cert,
      key,
      passphrases: passphrase ? [passphrase] : [],
      passphraseSetting: `${at}.passphrase`,
    })
    if (!pair) continue
    for (const sni of snis) {
      if (sni === '*') fallback = pair
      else entries.push([sni, pair])
    }
  }
  const digest = digestOf([entries.map(([sni, pair]) => [sni, pair.fingerprint]), fallback?.fingerprint])
  const names = new ServerNames<{ pair: KeyPair | undefined }>(
    entries.map(([sni, pair]) => [sni, { pair }]),
    { pair: fallback ?? entries[0]?.[1] },
  )
  return { digest, find: (name) => names.find(name).pair }
}

function prepareServer(
  config: ServerConfig,
  listener: ListenerConfig,
  bySni: CertificatesByName,
  materials: Materials,
): Prepared {
  const pair =
    config.ssl_certificate && config.ssl_certificate_key
      ? materials.keyPair({
          role: 'server',
          name: config.server_names[0] ?? '_',
          cert: config.ssl_certificate,
          key: config.ssl_certificate_key,
          passphrases: config.ssl_passwords,
          passphraseSetting: 'ssl_password or ssl_password_file (SALLYPORT_SSL_PASSWORD)',
        })
      : undefined
  const served = config.ssl_certificate !== undefined || bySni.find(config.server_names[0]) !== undefined
  if (!served) {
    materials.problem(
      `${config.at}.ssl_certificate`,
      'is missing, and no certificate has an SNI for this server; set ssl_certificate and ssl_certificate_key',
    )
  }
  const options = policyOptions(config, listener, materials)
  const virtual = { name: config.server_names[0] ?? '_', policy: options.id, verify: config.ssl_verify_client }
  return { config, virtual, options, pair }
}

function policyOptions(config: ServerConfig, listener: ListenerConfig, materials: Materials): TrustPolicyOptions {
  const verify = config.ssl_verify_client
  const asks = verify !== 'off'
  const trust =
    asks && config.ssl_client_certificate ? materials.trustStore(config.ssl_client_certificate, 'client') : undefined
  const lists = asks && config.ssl_crl ? materials.revocationLists(config.ssl_crl) : undefined
  for (const { issuer } of lists ?? []) {
    if (!config.ssl_crl || !trust || trust.certificates.some(({ subject }) => subject === issuer)) continue
    materials.warn(
      config.ssl_crl.setting,
      `the list of ${issuer} belongs to no CA in ssl_client_certificate: it is of use only for an intermediate of that name`,
    )
  }
  const [minVersion, maxVersion] = versionRange(config.ssl_protocols as readonly SecureVersion[])
  const session = { sessionTickets: config.ssl_session_tickets, sessionTimeout: config.ssl_session_timeout }
  const { ssl_verify_depth: verifyDepth, ssl_ciphers: ciphers } = config
  const id = digestOf([
    verify,
    asks ? [trust?.digest, lists?.map(({ digest }) => digest).sort(), verifyDepth] : [],
    [minVersion, maxVersion, ciphers, session],
  ])
  return {
    id,
    verify,
    ca: trust?.pems ?? [],
    crl: lists?.map(({ pem }) => pem) ?? [],
    verifyDepth,
    minVersion,
    maxVersion,
    ciphers,
    ...session,
    handshakeTimeout: listener.handshake_timeout,
  }
}

/** One TLS server for the servers that trust alike; they differ in the certificate that they show. */
function policyOf(
  servers: readonly Prepared[],
  {
    names,
    bySni,
    known,
    used,
  }: {
    names: ServerNames<Prepared>
    bySni: CertificatesByName
    known: PolicyRegistry
    used: PolicyRegistry
  },
): TrustPolicy {
  const first = servers.find(({ config }) => config.default_server) ?? servers[0]
  if (!first) throw new Error('a policy without servers')
  const { options } = first
  const pairFor = (server: Prepared, name: string | undefined) => server.pair ?? bySni.find(name)
  const fallback = pairFor(first, first.config.server_names[0])
  if (!fallback) throw new Error('a server without certificate passed the check')
  const contexts = new Map<KeyPair, SecureContext>()
  const contextOf = (pair: KeyPair): SecureContext => {
    const context =
      contexts.get(pair) ??
      createSecureContext(secureContextOptions(options, { certificatePem: pair.certificatePem, keyPem: pair.keyPem }))
    contexts.set(pair, context)
    return context
  }
  const key = digestOf([
    options,
    fallback.fingerprint,
    servers.map(({ config, pair }) => [config.server_names, pair?.fingerprint]),
    bySni.digest,
  ])
  const policy =
    known.get(key) ??
    used.get(key) ??
    new TrustPolicy(options, { certificatePem: fallback.certificatePem, keyPem: fallback.keyPem }, (name) =>
      contextOf(pairFor(names.find(name), name) ?? fallback),
    )
  used.set(key, policy)
  return policy
}

/** node:tls takes a range: TLS 1.2 and 1.3 have nothing in between. */
function versionRange(protocols: readonly SecureVersion[]): [SecureVersion, SecureVersion] {
  return [protocols.includes('TLSv1.2') ? 'TLSv1.2' : 'TLSv1.3', protocols.includes('TLSv1.3') ? 'TLSv1.3' : 'TLSv1.2']
}
