/** What a client asks for in `POST /v3/auth/tokens`, checked in Keystone's order: shape, payloads, methods. */
import { objectAt, textAt } from '../auth/methods/payload.ts'
import type { Directory, Domain, Named, Scope } from './directory.ts'
import { UNSCOPED } from './directory.ts'
import { expecting, KeystoneError, unauthorized } from './keystone-error.ts'

export interface AuthRequest {
  /** Each once, in the client's order, with its payload. */
  readonly methods: readonly (readonly [name: string, payload: unknown])[]
  /**
   * Undefined where the client does not choose: then it is the user's default project, if any. An error where there is no scope of that name. It is
   * reported only once the client has authenticated: reported earlier than a wrong password, it would show strangers which projects exist.
   */
  readonly scope: Scope | KeystoneError | undefined
}

/** More would only cause work. */
const MOST_METHODS = 16

/** @throws KeystoneError */
export function readAuthRequest(body: unknown, supported: readonly string[], directory: Directory): AuthRequest {
  const auth = objectAt(body, 'auth')
  if (auth === undefined || auth === null) throw expecting('auth', 'request body')
  const identity = objectAt(auth, 'identity')
  if (!isObject(identity)) throw invalid('identity')
  const names = methodNames(identity)
  checkShape(identity, objectAt(auth, 'scope'))
  for (const name of names) if (objectAt(identity, name) === undefined) throw expecting(name, 'identity')
  for (const name of names) if (!supported.includes(name)) throw unsupported(supported)
  const scope = scopeOf(auth, names, directory)
  return { methods: names.map((name) => [name, objectAt(identity, name)]), scope }
}

function methodNames(identity: object): string[] {
  const methods = objectAt(identity, 'methods')
  if (!Array.isArray(methods) || !methods.every((name) => typeof name === 'string')) throw invalid('identity/methods')
  const names = [...new Set(methods as string[])]
  if (names.length > MOST_METHODS) throw invalid('identity/methods')
  return names
}

/** The parts that Keystone's JSON Schema looks at. */
function checkShape(identity: object, scope: unknown): void {
  const password = objectAt(identity, 'password')
  checkMap(password, 'identity/password')
  checkNamed(objectAt(password, 'user'), 'identity/password/user')
  checkText(objectAt(objectAt(password, 'user'), 'password'), 'identity/password/user/password')
  const token = objectAt(identity, 'token')
  checkMap(token, 'identity/token')
  if (token !== undefined && typeof objectAt(token, 'id') !== 'string') throw invalid('identity/token/id')
  if (scope === undefined || typeof scope === 'string') return
  if (!isObject(scope)) throw invalid('scope')
  checkNamed(objectAt(scope, 'project'), 'scope/project')
  checkNamed(objectAt(scope, 'domain'), 'scope/domain')
  checkMap(objectAt(scope, 'system'), 'scope/system')
  const all = objectAt(objectAt(scope, 'system'), 'all')
  if (all !== undefined && typeof all !== 'boolean') throw invalid('scope/system/all')
}

/** A user or a project, with its domain. */
function checkNamed(value: unknown, at: string): void {
  if (value === undefined) return
  checkMap(value, at)
  for (const key of ['id', 'name']) checkText(objectAt(value, key), `${at}/${key}`)
  if (objectAt(value, 'id') === undefined && objectAt(value, 'name') === undefined) throw invalid(at)
  checkNamed(objectAt(value, 'domain'), `${at}/domain`)
}

function checkMap(value: unknown, at: string): void {
  if (value !== undefined && !isObject(value)) throw invalid(at)
}

function checkText(value: unknown, at: string): void {
  if (value !== undefined && typeof value !== 'string') throw invalid(at)
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function invalid(field: string): KeystoneError {
  return new KeystoneError(400, `Invalid input for field '${field}'.`)
}

function unsupported(supported: readonly string[]): KeystoneError {
  return new KeystoneError(401, 'Attempted to authenticate with an unsupported method.', {
    identity: { methods: supported },
  })
}

const SCOPES = ['project', 'domain', 'unscoped', 'system', 'OS-TRUST:trust'] as const

function scopeOf(auth: unknown, methods: readonly string[], directory: Directory): AuthRequest['scope'] {
  const scope = objectAt(auth, 'scope')
  if (methods.includes('application_credential') && scope !== undefined) {
    // It has its own scope, which nobody may change.
    const message = 'Error authenticating with application credential: Application credentials cannot request a scope.'
    throw new KeystoneError(401, message, { identity: {} })
  }
  if (scope === undefined) return undefined
  if (scope === 'unscoped') return UNSCOPED
  const given = SCOPES.filter((kind) => objectAt(scope, kind) !== undefined)
  const [kind] = given
  if (given.length !== 1 || kind === undefined)
    throw expecting('system, project, domain, OS-TRUST:trust or unscoped', 'scope')
  switch (kind) {
    case 'unscoped':
      return UNSCOPED
    case 'system':
      return { kind: 'system' }
    case 'project':
      return projectScope(objectAt(scope, 'project'), directory)
    case 'domain':
      return domainScope(objectAt(scope, 'domain'), directory)
    case 'OS-TRUST:trust':
      return unauthorized('trusts are not supported')
  }
}

function projectScope(given: unknown, directory: Directory): Scope | KeystoneError {
  const { id, name } = namesIn(given)
  const domain = name === undefined ? undefined : domainBeside(given, 'project', directory)
  const project = directory.project({ id, name }, domain)
  return project ? { kind: 'project', project } : unauthorized(`no project ${name ?? id}`)
}

function domainScope(given: unknown, directory: Directory): Scope | KeystoneError {
  const domain = domainOf(given, directory)
  return domain ? { kind: 'domain', domain } : unauthorized(`no domain ${namesIn(given).name ?? namesIn(given).id}`)
}

/**
 * The domain beside a name; undefined where there is no such domain.
 * @throws KeystoneError 400 where none is given
 */
export function domainBeside(given: unknown, target: string, directory: Directory): Domain | undefined {
  const domain = objectAt(given, 'domain')
  if (domain === undefined) throw expecting('domain', target)
  return domainOf(domain, directory)
}

function domainOf(given: unknown, directory: Directory): Domain | undefined {
  const named = namesIn(given)
  if (named.id === undefined && named.name === undefined) throw expecting('id or name', 'domain')
  return directory.domain(named)
}

function namesIn(given: unknown): Named {
  return { id: textAt(given, 'id'), name: textAt(given, 'name') }
}
