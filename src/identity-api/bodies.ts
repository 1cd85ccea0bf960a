/** The bodies of answers, as Keystone's clients read them. */
import { keystoneTime } from '../auth/receipt-body.ts'
import type { User } from '../types.ts'
import type { Account, Directory, Domain, Project, Scope } from './directory.ts'
import type { TokenClaims } from './token-scope.ts'

export interface TokenFacts {
  readonly claims: TokenClaims
  readonly user: User
  readonly scope: Scope
}

export function tokenBody({ claims, user, scope }: TokenFacts, directory: Directory, catalog?: object[]): object {
  return {
    token: {
      methods: claims.methods,
      user: { ...userReference(user, directory), password_expires_at: null },
      audit_ids: claims.audit_ids,
      expires_at: keystoneTime(claims.exp * 1000),
      issued_at: keystoneTime(claims.iat * 1000),
      // RFC 8705 3.2: whoever accepts the token must check for this certificate.
      ...(claims.cnf && { cnf: claims.cnf }),
      ...applicationCredential(claims, directory),
      ...scopeMembers(scope),
      ...(scope.kind !== 'unscoped' && { roles: directory.rolesOf(user, scope) }),
      ...(scope.kind !== 'unscoped' && catalog && { catalog }),
    },
  }
}

function applicationCredential({ app_cred_id: id }: TokenClaims, directory: Directory): object {
  const found = id === undefined ? undefined : directory.applicationCredential(id)
  return found ? { application_credential: { id: found.id, name: found.name, restricted: true } } : {}
}

function scopeMembers(scope: Scope): object {
  switch (scope.kind) {
    case 'unscoped':
      return {}
    case 'system':
      return { system: { all: true } }
    case 'domain':
      return { domain: domainReference(scope.domain) }
    case 'project': {
      const { id, name, domain } = scope.project
      return { project: { id, name, domain: domainReference(domain) }, is_domain: false }
    }
  }
}

function domainReference({ id, name }: Domain): object {
  return { id, name }
}

export function userReference(user: User, directory: Directory): object {
  const { id, name } = user
  return { id, name, domain: domainReference(directory.account(user).domain) }
}

/** @param base the address of the API, with /v3 */
export function projectBody({ id, name, description, domain }: Project, base: string): object {
  return {
    ...{ id, name, description, domain_id: domain.id, parent_id: domain.id, is_domain: false, enabled: true },
    ...{ options: {}, tags: [], links: { self: `${base}/projects/${encodeURIComponent(id)}` } },
  }
}

export function domainBody({ id, name }: Domain, base: string): object {
  const links = { self: `${base}/domains/${encodeURIComponent(id)}` }
  return { id, name, description: '', enabled: true, options: {}, tags: [], links }
}

export function userBody(user: User, { domain, defaultProject }: Account, base: string): object {
  const { id, name } = user
  return {
    ...{ id, name, domain_id: domain.id, enabled: true, options: {}, password_expires_at: null },
    ...(defaultProject && { default_project_id: defaultProject.id }),
    links: { self: userLink(user, base) },
  }
}

export function userLink({ id }: User, base: string): string {
  return `${base}/users/${encodeURIComponent(id)}`
}

export function collection(key: string, items: readonly object[], self: string): object {
  return { [key]: items, links: { next: null, self, previous: null } }
}

/** Discovery. These bodies are those of version 3.14 of Keystone's API. */
export function versionBody(base: string): object {
  return {
    id: 'v3.14',
    status: 'stable',
    updated: '2020-04-07T00:00:00Z',
    links: [{ rel: 'self', href: `${base}/` }],
    'media-types': [{ base: 'application/json', type: 'application/vnd.openstack.identity-v3+json' }],
  }
}
