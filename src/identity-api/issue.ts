/** Issues a token to an authenticated user. */
import { claimsOfUser } from '../tokens/token-user.ts'
import { newTokenId, type Tokens } from '../tokens/tokens.ts'
import type { Connection, Users } from '../types.ts'
import type { Known } from './authenticate.ts'
import type { TokenFacts } from './bodies.ts'
import { type Directory, digestOf, type Scope, UNSCOPED } from './directory.ts'
import { forbidden, unauthorized } from './keystone-error.ts'
import { claimsOfScope, type TokenClaims } from './token-scope.ts'

export interface IssueOptions {
  readonly tokens: Tokens
  readonly users: Users
  readonly directory: Directory
  /** Milliseconds. */
  readonly expiration: number
}

/** @throws KeystoneError for a scope in which the user has no role */
export async function issueToken(
  identity: Known,
  asked: Scope | undefined,
  connection: Connection,
  { tokens, users, directory, expiration }: IssueOptions,
): Promise<{ readonly token: string; readonly facts: TokenFacts }> {
  const { user, methods, attributes } = identity
  const scope = scopeFor(identity, asked, directory)
  if (scope.kind !== 'unscoped' && directory.rolesOf(user, scope).length === 0)
    throw unauthorized(`${user.name} has no role in the ${scope.kind} that was asked for`)
  const shown = await proofDigests(identity, tokens, directory)
  const id = newTokenId()
  const parent = attributes?.audit_id
  const wanted = {
    ...claimsOfUser(user, users),
    ...claimsOfScope(scope),
    ...(attributes?.app_cred_id !== undefined && { app_cred_id: attributes.app_cred_id }),
    ...(shown.length > 0 && { proofs: shown }),
    jti: id,
    methods,
    audit_ids: parent === undefined ? [id] : [id, parent],
  }
  // What a token was exchanged for never lasts longer than the token did (CVE-2026-44394).
  const expiresAt = Math.min(Date.now() + expiration, identity.expiresAt)
  const { token, claims } = await tokens.issue(wanted, wholeSeconds(expiresAt, identity.expiresAt), connection)
  return { token, facts: { claims: claims as TokenClaims, user, scope } }
}

/** Digests of the proofs that were shown, and of those behind a token that is exchanged. */
async function proofDigests(
  { user, proofs = [] }: Known,
  tokens: Tokens,
  directory: Directory,
): Promise<readonly string[]> {
  const token = proofs.find(({ method }) => method === 'token')?.of
  const before = token === undefined ? undefined : await tokens.inspect(token)
  const inherited = before?.status === 'valid' ? ((before.claims as TokenClaims).proofs ?? []) : []
  const shown = proofs.map(({ of }) => digestOf(of))
  return [...new Set([...inherited, ...directory.proofDigestsOf(user).filter((digest) => shown.includes(digest))])]
}

/** Where the client chose no scope: the user's default project, if the user has a role there. */
function scopeFor(identity: Known, asked: Scope | undefined, directory: Directory): Scope {
  const { user, methods, attributes } = identity
  if (methods.includes('application_credential')) {
    // A token that was limited on purpose cannot be exchanged for a wider one.
    if (methods.includes('token')) throw forbidden('a token of an application credential cannot be exchanged')
    // Asked for in a later step than that of the credential.
    if (asked) throw unauthorized('an application credential has its own scope')
    const project = directory.applicationCredential(attributes?.app_cred_id ?? '')?.project
    if (project) return { kind: 'project', project }
  }
  if (attributes?.system_scope === 'all' && (asked?.kind === 'project' || asked?.kind === 'domain'))
    throw forbidden('a system-scoped token cannot become one for a project or domain')
  if (asked) return asked
  const { defaultProject: project } = directory.account(user)
  const scope: Scope | undefined = project && { kind: 'project', project }
  return scope && directory.rolesOf(user, scope).length > 0 ? scope : UNSCOPED
}

/** Whole seconds, as readers of JWT expect, and never later than the end of what it is based on. */
function wholeSeconds(expiresAt: number, latest: number): number {
  return expiresAt === latest ? latest : Math.floor(expiresAt / 1000) * 1000
}
