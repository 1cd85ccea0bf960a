/** Finds out who is asking: by a token, or by a certificate alone (Keystone's X.509 tokenless authorization). */

import { userOfCertificate } from '../auth/certificate-user.ts'
import { isEnough } from '../auth/multi-factor.ts'
import { headerValues } from '../http-fields/header-values.ts'
import { thumbprintOf } from '../tokens/binding.ts'
import { userOfClaims } from '../tokens/token-user.ts'
import type { Tokens } from '../tokens/tokens.ts'
import type { AuthMethod, Caller, User, Users } from '../types.ts'
import type { Directory, Role, Scope } from './directory.ts'
import { expecting, type KeystoneError, unauthorized } from './keystone-error.ts'
import { scopeOfClaims, type TokenClaims } from './token-scope.ts'

export interface Requester {
  readonly user: User
  readonly scope: Scope
  readonly roles: readonly Role[]
  /** Undefined for a requester without a token. */
  readonly claims: TokenClaims | undefined
}

export interface RequesterOptions {
  readonly tokens: Tokens
  readonly users: Users
  readonly directory: Directory
  /** Maps certificates to users; undefined where none is set up. */
  readonly certificate: AuthMethod | undefined
  /** The issuers, as RFC 2253 writes their names, whose certificates need no token. */
  readonly trustedIssuers: ReadonlySet<string>
}

/** @throws KeystoneError 401; GatewayError GW_UNDECIDED where it cannot be decided */
export async function requesterOf(caller: Caller, options: RequesterOptions): Promise<Requester> {
  const token = headerOf(caller, 'x-auth-token')
  return token === undefined ? withoutToken(caller, options) : withToken(token, caller, options)
}

async function withToken(token: string, caller: Caller, options: RequesterOptions): Promise<Requester> {
  const verified = await options.tokens.verify(token, caller.connection)
  if (verified.status === 'invalid') throw unauthorized(`X-Auth-Token: ${verified.reason}`)
  const facts = await factsToday(verified.claims as TokenClaims, caller, options)
  if (!facts) throw unauthorized('X-Auth-Token: its user, or what it is good for, is gone')
  return facts
}

type TokenFacts = Requester & { readonly claims: TokenClaims }

/**
 * What a token is worth now. Undefined where its user, scope or roles are gone, or its methods are no longer enough. The current user of its
 * certificate is only known where the caller shows that certificate; others who inspect the token see the user whom it was issued to.
 * @throws GatewayError GW_UNDECIDED
 */
export async function factsToday(
  claims: TokenClaims,
  caller: Caller,
  { users, directory, certificate }: Pick<RequesterOptions, 'users' | 'directory' | 'certificate'>,
): Promise<TokenFacts | undefined> {
  const issuedTo = userOfClaims(claims, users)
  if (!issuedTo) return undefined
  const isShown = claims.cnf?.['x5t#S256'] === thumbprintOf(caller.connection)
  const { methods = [] } = claims
  const user = isShown ? await userOfCertificate({ user: issuedTo, methods }, caller, certificate) : issuedTo
  // Also by rules that are newer than the token: a route would ask for the missing method, but here nothing else can be shown.
  return user && isEnough(directory.multiFactorRulesOf(user), methods) ? factsOf(claims, user, directory) : undefined
}

/** The same for a user who is known already. */
export function factsOf(claims: TokenClaims, user: User, directory: Directory): TokenFacts | undefined {
  const scope = scopeOfClaims(claims, directory)
  if (!scope) return undefined
  if (claims.app_cred_id !== undefined && !directory.applicationCredential(claims.app_cred_id)) return undefined
  if (claims.proofs && !isSubset(claims.proofs, directory.proofDigestsOf(user))) return undefined
  const roles = directory.rolesOf(user, scope)
  return roles.length === 0 && scope.kind !== 'unscoped' ? undefined : { user, scope, roles, claims }
}

function isSubset(some: readonly string[], all: readonly string[]): boolean {
  return some.every((each) => all.includes(each))
}

/** @throws KeystoneError 401, which says in the log what a certificate lacks where certificates may do */
async function withoutToken(caller: Caller, options: RequesterOptions): Promise<Requester> {
  const { certificate, trustedIssuers, directory } = options
  const { certificate: shown, verification } = caller.connection
  if (!certificate || verification.result !== 'SUCCESS' || !shown || trustedIssuers.size === 0) throw noToken()
  if (!trustedIssuers.has(shown.issuer)) throw noToken('trusted_issuers does not name the issuer of the certificate')
  const scope = scopeOfHeaders(caller, directory)
  const outcome = await certificate.authenticate(caller)
  if (outcome.status === 'denied') throw noToken(outcome.reason)
  if (outcome.status !== 'accepted') throw noToken()
  const { user, requires = [] } = outcome
  if (requires.length > 0 || !isEnough(directory.multiFactorRulesOf(user), ['certificate']))
    throw noToken(`a certificate alone is not enough for ${user.name}`)
  const roles = directory.rolesOf(user, scope)
  if (roles.length === 0) throw unauthorized(`${user.name} has no role where the certificate shall be used`)
  return { user, scope, roles, claims: undefined }
}

function noToken(besides?: string): KeystoneError {
  return unauthorized(besides === undefined ? 'no X-Auth-Token' : `no X-Auth-Token; ${besides}`)
}

/** X-Project-Id, or X-Project-Name with its domain, or X-Domain-Id, or X-Domain-Name. @throws KeystoneError 400 where none is there */
function scopeOfHeaders(caller: Caller, directory: Directory): Scope {
  const header = (name: string) => headerOf(caller, name)
  const [id, name] = [header('x-project-id'), header('x-project-name')]
  const inDomain = { id: header('x-project-domain-id'), name: header('x-project-domain-name') }
  if (name !== undefined && inDomain.id === undefined && inDomain.name === undefined)
    throw expecting('X-Project-Domain-Id or X-Project-Domain-Name', 'headers')
  if (id !== undefined || name !== undefined) {
    const project = directory.project({ id, name }, directory.domain(inDomain))
    if (!project) throw unauthorized(`no project ${name ?? id}`)
    return { kind: 'project', project }
  }
  const wanted = { id: header('x-domain-id'), name: header('x-domain-name') }
  if (wanted.id === undefined && wanted.name === undefined) throw expecting('a project or a domain', 'headers')
  const domain = directory.domain(wanted)
  if (!domain) throw unauthorized(`no domain ${wanted.name ?? wanted.id}`)
  return { kind: 'domain', domain }
}

/** Undefined for an empty one, which clients send for "none". */
export function headerOf({ request }: Caller, name: string): string | undefined {
  return headerValues(request.rawHeaders, name).join(', ') || undefined
}
