/** Which claims of a token say what it is good for, and back. */
import type { Claims } from '../tokens/tokens.ts'
import { type Directory, type Scope, UNSCOPED } from './directory.ts'

/** What Keystone's tokens say besides whose they are. Ids only: names and roles are looked up when they are asked for. */
export interface TokenClaims extends Claims {
  readonly methods: readonly string[]
  /** Its own id, then that of the token that it goes back to. */
  readonly audit_ids: readonly string[]
  readonly project_id?: string
  readonly domain_id?: string
  readonly system?: true
  /** The id of the application credential that it was got with. */
  readonly app_cred_id?: string
  /** The digests of the passwords and secrets that it was got with: it ends when one of them is changed or taken back. */
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

/** Undefined where what it was good for is gone. */
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
