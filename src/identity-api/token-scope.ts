/** Writes a scope into the claims of a token, and reads it back. */
import type { Claims } from '../tokens/tokens.ts'
import { type Directory, type Scope, UNSCOPED } from './directory.ts'

/** What Keystone's tokens hold besides their user. Only ids: names and roles are looked up when they are needed. */
export interface TokenClaims extends Claims {
  readonly methods: readonly string[]
  /** Its own id, then the id of the token that it was made from. */
  readonly audit_ids: readonly string[]
  readonly project_id?: string
  readonly domain_id?: string
  readonly system?: true
  /** The id of the application credential that it was issued for. */
  readonly app_cred_id?: string
  /** Digests of the passwords and secrets that it was issued for: it ends when one of them is changed or revoked. */
  readonly proofs?: readonly string[]
}

export function claimsOfScope(scope: Scope): Pick<TokenClaims, 'project_id' | 'domain_id' | 'system'> {
  switch (scope.kind) {
    case 'unscoped':
      return {}
    case 'project':
      return { project_id: scope.project.id }
    case 'domain':
      return { domain_id: scope.domain.id }
    case 'system':
      return { system: true }
  }
}

/** Undefined where the scope no longer exists. */
export function scopeOfClaims(claims: TokenClaims, directory: Directory): Scope | undefined {
  if (claims.system) return { kind: 'system' }
  if (claims.project_id !== undefined) {
    const project = directory.project({ id: claims.project_id })
    return project && { kind: 'project', project }
  }
  if (claims.domain_id !== undefined) {
    const domain = directory.domain({ id: claims.domain_id })
    return domain && { kind: 'domain', domain }
  }
  return UNSCOPED
}
