/** The paths of Keystone's API v3 that clients need to log in. */
import { receiptBody } from '../auth/receipt-body.ts'
import { RECEIPT_HEADER, type Receipts } from '../auth/receipts.ts'
import type { SigningKeys } from '../tokens/signing-keys.ts'
import type { AuthMethod, Call, User } from '../types.ts'
import type { Answer } from './answer.ts'
import { readAuthRequest } from './auth-request.ts'
import { authenticate } from './authenticate.ts'
import {
  collection,
  domainBody,
  projectBody,
  tokenBody,
  userBody,
  userLink,
  userReference,
  versionBody,
} from './bodies.ts'
import { type CatalogEntry, catalogFor } from './catalog.ts'
import { type IssueOptions, issueToken } from './issue.ts'
import { forbidden, KeystoneError, tokenNotFound } from './keystone-error.ts'
import { factsToday, headerOf, type Requester, type RequesterOptions, requesterOf } from './requester.ts'
import type { TokenClaims } from './token-scope.ts'

export interface ResourceOptions extends RequesterOptions, IssueOptions {
  readonly methods: ReadonlyMap<string, AuthMethod>
  readonly receipts: Receipts
  readonly keys: SigningKeys
  /** For how many milliseconds an expired token can still be inspected. */
  readonly expiredWindow: number
  catalog(base: string): readonly CatalogEntry[]
}

/** One request to a resource. */
export interface Ask {
  readonly call: Call
  readonly query: URLSearchParams
  /** The address of the API, with /v3. */
  readonly base: string
  /** Reads the request's JSON. @throws KeystoneError 400 */
  body(): Promise<unknown>
}

type Handler = (ask: Ask, options: ResourceOptions) => Answer | Promise<Answer>

const versions: Handler = ({ base }) => ({
  status: 300,
  body: { versions: { values: [versionBody(base)] } },
  headers: ['Location', `${base}/`],
})

const version: Handler = ({ base }) => ({ status: 200, body: { version: versionBody(base) } })

/** RFC 7517: for clients that check tokens themselves. */
const jwks: Handler = (_ask, { keys }) => ({ status: 200, body: { keys: keys.published.map(({ jwk }) => jwk) } })

const issue: Handler = async (ask, options) => {
  const request = readAuthRequest(await ask.body(), [...options.methods.keys()], options.directory)
  const authentication = await authenticate(ask.call, request, options)
  const { identity } = authentication
  ask.call.record.user = identity.user.name
  if (authentication.status === 'insufficient') {
    const receipt = options.receipts.issue(identity, ask.call.connection, authentication.before)
    const body = receiptBody(
      identity.methods,
      userReference(identity.user, options.directory),
      receipt,
      authentication.required,
    )
    const ways = authentication.required.map((rule) =>
      rule.filter((name) => !identity.methods.includes(name)).join(', '),
    )
    const reason = `nothing yet for ${ways.join(' or ')}, after ${identity.methods.join(', ')}`
    return { status: 401, body, headers: [RECEIPT_HEADER, receipt.id], reason }
  }
  if (request.scope instanceof KeystoneError) throw request.scope
  const { token, facts } = await issueToken(identity, request.scope, ask.call.connection, options)
  const body = tokenBody(facts, options.directory, catalogIn(ask, facts, options))
  return { status: 201, body, headers: ['X-Subject-Token', token] }
}

const validate: Handler = async (ask, options) => {
  const { token, facts } = await subject(ask, options)
  const body = tokenBody(facts, options.directory, catalogIn(ask, facts, options))
  return { status: 200, body, headers: ['X-Subject-Token', token] }
}

const revoke: Handler = async (ask, options) => {
  const { facts } = await subject(ask, options)
  await options.tokens.revoke(facts.claims)
  return { status: 204 }
}

/** The token in X-Subject-Token, for those who may see it: its owner, and services. */
async function subject({ call, query }: Ask, options: ResourceOptions) {
  const requester = await requesterOf(call, options)
  call.record.user = requester.user.name
  const token = headerOf(call, 'x-subject-token')
  if (token === undefined) {
    // Checked first, as Keystone's policy is.
    if (!mayLookAt(requester, call.method)) throw forbidden('no X-Subject-Token')
    throw tokenNotFound('no X-Subject-Token')
  }
  const window = call.method !== 'DELETE' && isTrue(query.get('allow_expired')) ? options.expiredWindow : 0
  const verified = await options.tokens.inspect(token, window)
  if (verified.status === 'invalid') throw tokenNotFound(`X-Subject-Token: ${verified.reason}`)
  const facts = await factsToday(verified.claims as TokenClaims, call, options)
  if (!facts) throw tokenNotFound('X-Subject-Token: its user, or what it is good for, is gone')
  if (facts.user.id !== requester.user.id && !mayLookAt(requester, call.method))
    throw forbidden(`${requester.user.name} may not handle the tokens of others`)
  return { token, facts }
}

/** Keystone's policy: admins; for looking also services, and readers of the whole system. */
function mayLookAt({ roles, scope }: Requester, method: string): boolean {
  const has = (name: string) => roles.some((role) => role.name === name)
  if (has('admin')) return true
  return method !== 'DELETE' && (has('service') || (scope.kind === 'system' && has('reader')))
}

function isTrue(value: string | null): boolean {
  return value !== null && /^(1|t|true|on|y|yes)$/i.test(value)
}

function catalogIn(
  { query, base }: Ask,
  { user, scope }: Pick<Requester, 'user' | 'scope'>,
  { catalog }: ResourceOptions,
) {
  return query.has('nocatalog') ? undefined : catalogFor(catalog(base), user, scope)
}

const catalog: Handler = async ({ call, base }, options) => {
  const { user, scope } = await requesterOf(call, options)
  if (scope.kind !== 'project') throw forbidden('a catalog needs a project-scoped token')
  const entries = catalogFor(options.catalog(base), user, scope)
  return { status: 200, body: { catalog: entries, links: { self: `${base}/auth/catalog` } } }
}

const projects: Handler = async ({ call, base }, options) => {
  const { user } = await requesterOf(call, options)
  return projectsAnswer(user, base, `${base}/auth/projects`, options)
}

function projectsAnswer(user: User, base: string, self: string, { directory }: ResourceOptions): Answer {
  const items = directory.projectsOf(user).map((project) => projectBody(project, base))
  return { status: 200, body: collection('projects', items, self) }
}

/** `openstack project list` asks here first, and for the projects of its user after a 403 only. */
const allProjects: Handler = async ({ call }, options) => {
  const { user } = await requesterOf(call, options)
  throw forbidden(`${user.name} may see the own projects only`)
}

const domains: Handler = async ({ call, base }, options) => {
  const { user } = await requesterOf(call, options)
  const items = options.directory.domainsOf(user).map((domain) => domainBody(domain, base))
  return { status: 200, body: collection('domains', items, `${base}/auth/domains`) }
}

const system: Handler = async ({ call, base }, options) => {
  const { user } = await requesterOf(call, options)
  const found = options.directory.rolesOf(user, { kind: 'system' }).length > 0
  return { status: 200, body: { system: found ? [{ all: true }] : [], links: { self: `${base}/auth/system` } } }
}

const userResource =
  (id: string): Handler =>
  async ({ call, base }, options) => {
    const user = await userAt(id, call, options)
    return { status: 200, body: { user: userBody(user, options.directory.account(user), base) } }
  }

const projectsOfUser =
  (id: string): Handler =>
  async ({ call, base }, options) => {
    const user = await userAt(id, call, options)
    return projectsAnswer(user, base, `${userLink(user, base)}/projects`, options)
  }

/** Users may see themselves. Only admins may see others, or learn who exists. @throws KeystoneError */
async function userAt(id: string, call: Call, options: ResourceOptions): Promise<User> {
  const requester = await requesterOf(call, options)
  const isAdmin = requester.roles.some(({ name }) => name === 'admin')
  const user = requester.user.id === id ? requester.user : isAdmin ? options.users.byId(id) : undefined
  if (!user && isAdmin) throw new KeystoneError(404, `Could not find user: ${id.slice(0, 64)}.`)
  if (!user) throw forbidden(`${requester.user.name} may not look at other users`)
  return user
}

type Methods = Readonly<Record<string, Handler>>

const RESOURCES: Readonly<Record<string, Methods>> = {
  '/': { GET: versions },
  '/v3': { GET: version },
  '/v3/auth/tokens': { GET: validate, POST: issue, DELETE: revoke },
  '/v3/auth/catalog': { GET: catalog },
  '/v3/auth/projects': { GET: projects },
  '/v3/auth/domains': { GET: domains },
  '/v3/auth/system': { GET: system },
  '/v3/projects': { GET: allProjects },
  '/.well-known/jwks.json': { GET: jwks },
}

/** @throws KeystoneError 404 or 405 */
export function handlerFor(method: string, path: string): Handler {
  const methods = RESOURCES[path] ?? userMethods(path)
  if (!methods) throw new KeystoneError(404, 'The requested URL was not found on the server.')
  // HEAD is GET without the body (RFC 9110 9.3.2).
  const found = methods[method === 'HEAD' ? 'GET' : method]
  if (found) return found
  const allowed = Object.keys(methods).flatMap((name) => (name === 'GET' ? ['GET', 'HEAD'] : [name]))
  throw new KeystoneError(405, 'The method is not allowed for the requested URL.', {
    headers: ['Allow', allowed.join(', ')],
  })
}

function userMethods(path: string): Methods | undefined {
  const [, written, projectsBelow] = /^\/v3\/users\/([^/]+)(\/projects)?$/.exec(path) ?? []
  const id = written === undefined ? undefined : decoded(written)
  if (id === undefined) return undefined
  return { GET: projectsBelow === undefined ? userResource(id) : projectsOfUser(id) }
}

/** An id may be an e-mail address, whose `@` clients encode, as our own links do. Undefined where it is badly encoded. */
function decoded(segment: string): string | undefined {
  try {
    return decodeURIComponent(segment)
  } catch {
    return undefined
  }
}
