import type { Claims } from '../tokens/tokens.ts'
import type { User } from '../types.ts'
import type { Directory, Domain, Scope } from './directory.ts'
import { factsOf } from './requester.ts'
import type { TokenClaims } from './token-scope.ts'

/** A token's scope and roles as attributes for backends; undefined where its user, scope or roles are gone. */
export function tokenAttributes(
  claims: Claims,
  issuedTo: User,
  directory: Directory,
): Record<string, string> | undefined {
  const facts = factsOf(claims as TokenClaims, issuedTo, directory)
  if (!facts) return undefined
  const { user, scope, roles } = facts
  // The list is separated by commas, so a comma in a name would make two roles.
  const names = roles.map(({ name }) => name.replaceAll('%', '%25').replaceAll(',', '%2C'))
  return {
    ...domainOf('user', directory.account(user).domain),
    ...scopeAttributes(scope),
    roles: names.join(','),
  }
}

function scopeAttributes(scope: Scope): Record<string, string> {
  switch (scope.kind) {
    case 'unscoped':
      return {}
    case 'system':
      return { system_scope: 'all' }
    case 'domain':
      return { domain_id: scope.domain.id, domain_name: scope.domain.name }
    case 'project': {
      const { id, name, domain } = scope.project
      return { project_id: id, project_name: name, ...domainOf('project', domain) }
    }
  }
}

function domainOf(what: string, { id, name }: Domain): Record<string, string> {
  return { [`${what}_domain_id`]: id, [`${what}_domain_name`]: name }
}
