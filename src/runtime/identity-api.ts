/** Builds the Identity API: its directory of domains, projects and roles, and the service that answers with them. */
import { proofOf } from '../auth/passwords/check.ts'
import { looksLikeHash } from '../auth/passwords/hash.ts'
import type { Receipts } from '../auth/receipts.ts'
import { type Config, type ConsumerConfig, derivedId } from '../config/index.ts'
import type { CatalogEntry } from '../identity-api/catalog.ts'
import {
  type Account,
  type Assignment,
  Directory,
  type Domain,
  type Project,
  type Scope,
} from '../identity-api/directory.ts'
import { IdentityApi } from '../identity-api/identity-api.ts'
import type { Log } from '../log/log.ts'
import type { AuthMethod, Service, Users } from '../types.ts'
import type { TokenParts } from './tokens.ts'

export interface IdentityApiSurroundings {
  readonly config: Config
  readonly users: Users
  readonly methods: ReadonlyMap<string, AuthMethod>
  readonly receipts: Receipts
  readonly tokens: TokenParts
  readonly directory: Directory
  readonly log: Log
}

export function createIdentityApi(name: string, surroundings: IdentityApiSurroundings): Service {
  const { config, users, methods, receipts, tokens, directory, log } = surroundings
  const { identity_api: settings } = config
  return new IdentityApi({
    ...{ name, users, methods, receipts, directory, ...tokens },
    expiration: config.tokens.expiration,
    expiredWindow: config.tokens.allow_expired_window,
    certificate: methods.get('certificate'),
    trustedIssuers: new Set(settings.trusted_issuers),
    publicUrl: settings.public_url,
    catalog: catalogOf(settings),
    record: log.info,
  })
}

export function createDirectory({ identity_api: settings, consumers }: Config, users: Users): Directory {
  const { domains, role_assignments } = settings
  const [first, ...more] = domains
  if (!first) throw new Error('the check of the configuration let no domain through')
  const domainOf = finder<Domain>(domains)
  const projects = settings.projects.map(
    ({ id, name, description, domain }): Project => ({ id, name, description, domain: domainOf(domain) ?? first }),
  )
  const projectOf = finder(projects)
  const assignments = role_assignments.map(({ role, user, group, project, domain }): Assignment => {
    const scope = scopeOf(projectOf(project), domainOf(domain))
    return { role: { id: derivedId('role', role), name: role }, user, group, scope }
  })
  const accountOf = ({ domain, default_project, multi_factor_auth_rules }: ConsumerConfig): Account => ({
    domain: domainOf(domain) ?? first,
    defaultProject: projectOf(default_project),
    multiFactorAuthRules: multi_factor_auth_rules,
  })
  const applicationCredentials = new Map(
    consumers
      .flatMap(({ application_credentials }) => application_credentials)
      .map(({ id, name = id, project }) => [id, { id, name, project: projectOf(project) }]),
  )
  const accounts = new Map(consumers.map((consumer) => [consumer.id, accountOf(consumer)]))
  const byId = new Map(consumers.map((consumer) => [consumer.id, consumer]))
  const proofsOf = (id: string) => secretProofs(byId.get(id))
  return new Directory({
    ...{ users, domains: [first, ...more], projects, assignments, accounts, applicationCredentials, proofsOf },
  })
}

/** Passwords that are configured in clear text have no proof: it would go into tokens, where the password could be guessed from it. */
function secretProofs(consumer: ConsumerConfig | undefined): readonly string[] {
  const { basicauth_credentials: passwords = [], application_credentials: programs = [] } = consumer ?? {}
  return [
    ...passwords.map(({ username, password }) => [username, password.reveal()] as const),
    ...programs.map(({ id, secret }) => [id, secret.reveal()] as const),
  ].flatMap(([name, hash]) => (looksLikeHash(hash) ? [proofOf(name, hash)] : []))
}

function finder<T extends Domain>(known: readonly T[]): (reference: string | undefined) => T | undefined {
  return (reference) => known.find(({ id, name }) => id === reference || name === reference)
}

function scopeOf(project: Project | undefined, domain: Domain | undefined): Scope {
  if (project) return { kind: 'project', project }
  return domain ? { kind: 'domain', domain } : { kind: 'system' }
}

function catalogOf({ catalog, region }: Config['identity_api']): (base: string) => readonly CatalogEntry[] {
  const entries = catalog.map(
    ({ type, name, endpoints }): CatalogEntry => ({
      ...{ id: derivedId('service', type, name), type, name },
      endpoints: endpoints.map((endpoint) => ({
        id: derivedId('endpoint', type, name, endpoint.interface, endpoint.url),
        interface: endpoint.interface,
        region: endpoint.region ?? region,
        url: endpoint.url,
      })),
    }),
  )
  return (base) => [identityEntry(base, region), ...entries]
}

/** Clients also look the Identity API itself up in the catalog, for example to revoke a token. */
function identityEntry(base: string, region: string): CatalogEntry {
  const faces = ['public', 'internal', 'admin'] as const
  return {
    ...{ id: derivedId('service', 'identity'), type: 'identity', name: 'keystone' },
    endpoints: faces.map((face) => ({
      id: derivedId('endpoint', 'identity', face),
      interface: face,
      region,
      url: base,
    })),
  }
}
