import type { CaCertificateConfig, Config, ConsumerConfig, MappedUserConfig, ServerConfig } from '../config/index.ts'
import { ConfigError } from '../errors.ts'
import { topmost } from '../identity/mapping/issuers.ts'
import { NatsMapper } from '../identity/mapping/nats.ts'
import type { RuleMapper, RuleSettings } from '../identity/mapping/rule.ts'
import { MapperSequence } from '../identity/mapping/sequence.ts'
import { StrictMapper } from '../identity/mapping/strict.ts'
import type { CertificateFacts } from '../tls-cert-utils/certificate.ts'
import { keyOfName, keyOfWrittenName } from '../tls-cert-utils/name-key.ts'
import { NameTextError, parseNameText } from '../tls-cert-utils/name-text.ts'
import type { CertificateMapper, Users } from '../types.ts'
import type { Materials } from './materials.ts'
import type { Plugins } from './plugins.ts'
import type { AwaitedUsers, UsersFiles } from './users/files.ts'

/** Builds the mappers that find the users of each server's certificates. Unusable rules are reported to `materials`. */
export class Mappers {
  readonly #config: Config
  readonly #users: Users
  readonly #plugins: Plugins
  readonly #materials: Materials
  readonly #files: UsersFiles
  readonly #known = new Map<ServerConfig, CertificateMapper | undefined>()
  /** Mappers with further rules in a file that has not been read yet: until then these match nobody. */
  readonly #awaited: AwaitedUsers[] = []

  constructor(config: Config, users: Users, plugins: Plugins, materials: Materials, files: UsersFiles) {
    this.#files = files
    this.#config = config
    this.#plugins = plugins
    this.#materials = materials
    this.#users = users
  }

  /** Undefined where the server asks for no certificate, or nothing maps its certificates. */
  of(server: ServerConfig): CertificateMapper | undefined {
    if (!this.#known.has(server)) this.#known.set(server, this.#chain(server))
    return this.#known.get(server)
  }

  /** Reads the files of users that have changed, while requests go on. @throws ConfigError where one cannot be used */
  async ready(): Promise<void> {
    for (const awaited of this.#awaited.splice(0)) await this.#files.attach(awaited, this.#materials)
    if (this.#materials.problems.length > 0) throw new ConfigError(this.#materials.problems)
  }

  #chain(server: ServerConfig): CertificateMapper | undefined {
    const mappers = server.certmap.flatMap((name) => this.#named(name, server) ?? [])
    return mappers.length > 1 ? new MapperSequence(mappers) : mappers[0]
  }

  /** Any name other than `local` is a plugin's. It is looked up when it is first needed, as in Docker: it may start later than the gateway. */
  #named(name: string, server: ServerConfig): CertificateMapper | undefined {
    if (name === 'local') return this.#local(server)
    return server.ssl_verify_client === 'off' ? undefined : this.#plugins.mapper(name)
  }

  #local(server: ServerConfig): RuleMapper | undefined {
    const trusted = trustedBy(server, this.#materials)
    const isNats = server.mapping === 'nats'
    const rules = [
      ...server.authorization.users.map((user) => this.#ruleOf(user, trusted)),
      // NATS has no consumers: one of them could only match by accident.
      ...(isNats ? [] : this.#config.consumers.flatMap((consumer) => this.#rulesOf(consumer))),
    ]
    if (rules.length === 0 && server.authorization.users_file === undefined) {
      if (server.verify_and_map && server.certmap.length === 1)
        this.#materials.problem(`${server.at}.verify_and_map`, NOBODY)
      return undefined
    }
    if (server.ssl_verify_client === 'off') return undefined
    const settings = { rules, users: this.#users, trusted }
    const mapper = isNats ? new NatsMapper(settings) : new StrictMapper(settings)
    this.#awaitFile(mapper, server, trusted)
    for (const { at, message, isFatal } of mapper.findings) {
      if (isFatal) this.#materials.problem(at, message)
      else this.#materials.warn(at, message)
    }
    return mapper
  }

  #awaitFile(mapper: RuleMapper, server: ServerConfig, trusted: readonly CertificateFacts[]): void {
    const { users_file: file, ...bounds } = server.authorization
    if (file === undefined) return
    const wanted = {
      file,
      mapping: server.mapping ?? 'strict',
      tops: topmost(trusted).map(({ subject }) => subject),
      maxSize: bounds.users_file_max_size,
      maxUsers: bounds.users_file_max_users,
      maxEntry: bounds.users_file_max_entry,
    }
    this.#awaited.push({ wanted, mapper, issuersOf: (written) => this.#authorities(written, trusted) })
  }

  #ruleOf(entry: MappedUserConfig, trusted: readonly CertificateFacts[]): RuleSettings {
    const { at, user, certificate, issuer, password, groups, groups_from: groupsFrom } = entry
    return {
      at,
      user,
      certificates: certificate,
      issuers: issuer === undefined ? undefined : this.#issuers(issuer, trusted, `${at}.issuer`),
      groups,
      groupsFrom: groupsFrom.length > 0 ? groupsFrom : undefined,
      requires: password && ['password'],
      connectionTypes: entry.allowed_connection_types ?? entry.connection_types ?? entry.clients,
    }
  }

  #rulesOf({ name, mtls_auth_credentials }: ConsumerConfig): RuleSettings[] {
    return mtls_auth_credentials.map(({ at, id, subject_name: subjectName, ca_certificate: ca }) => ({
      at,
      user: name,
      subjectName,
      issuers: ca === undefined ? undefined : this.#issuers(ca, [], `${at}.ca_certificate`),
      credential: id,
    }))
  }

  /** The authority with that name or id in `ca_certificates`, or else those trusted by the server that have this distinguished name. */
  #authorities(written: string, trusted: readonly CertificateFacts[]): CertificateFacts[] {
    const declared = this.#declared(written)
    if (declared) return this.#certificatesOf(declared)
    const key = nameKey(written)
    return trusted.filter(({ subjectAttributes }) => keyOfName(subjectAttributes) === key)
  }

  #issuers(written: string, trusted: readonly CertificateFacts[], setting: string): CertificateFacts[] {
    const found = this.#authorities(written, trusted)
    // One that is declared and cannot be read has been told of where it stands.
    if (found.length === 0 && !this.#declared(written)) {
      const names = trusted.map(({ subject }) => `"${subject}"`).join(', ')
      const known = names === '' ? 'ca_certificates has none of that name' : `the server trusts ${names}`
      this.#materials.problem(setting, `names no authority that is known here; ${known}`)
    }
    return found
  }

  #declared(written: string): CaCertificateConfig | undefined {
    return this.#config.ca_certificates.find(({ id, name }) => id === written || name === written)
  }

  #certificatesOf({ cert, name }: CaCertificateConfig): CertificateFacts[] {
    return [...(this.#materials.trustStore(cert, name)?.certificates ?? [])]
  }
}

const NOBODY = 'lets nobody in, as there is no user: add authorization.users, or consumers with mtls_auth_credentials'

/** Undefined where the text is no distinguished name. */
function nameKey(written: string): string | undefined {
  try {
    return keyOfWrittenName(parseNameText(written)) || undefined
  } catch (error) {
    if (!(error instanceof NameTextError)) throw error
    return undefined
  }
}

function trustedBy(server: ServerConfig, materials: Materials): readonly CertificateFacts[] {
  const sources = [server.ssl_client_certificate, server.ssl_trusted_certificate]
  return sources.flatMap((source) => (source ? materials.authorities(source) : []))
}
