/** The token server of registries: distribution's token protocol, under the addresses and with the errors of Keycloak's docker-v2. */
import { GatewayError } from '../errors.ts'
import type { HttpResponse } from '../http-messages.ts'
import { inTurns } from '../slices.ts'
import type { Call, Identity, Service } from '../types.ts'
import { type Answer, oauthError, registryError, send } from './answer.ts'
import { basicCredentials, type Credentials, formCredentials } from './credentials.ts'
import { readForm } from './form.ts'
import { inRegistryWords } from './gate-refusals.ts'
import { assertCurrent, type Identified, identify, subjectOf } from './identify.ts'
import type { Realm } from './realm.ts'
import type { Judgement, Rights, Subject } from './rights.ts'
import { parseScopes, type Resource, scopeText } from './scope.ts'

export interface TokenServiceOptions {
  readonly name: string
  readonly realms: readonly Realm[]
  /** Writes one line for each token, and for each refusal. */
  readonly record: (fields: Readonly<Record<string, unknown>>, message: string) => void
}

/** A client's request for a token, from the query of a GET or the form of a POST. */
interface TokenRequest {
  readonly realm: Realm
  readonly service: string
  readonly scopes: readonly Resource[]
  readonly credentials: Credentials
  readonly clientId: string | undefined
  /** Whether a refresh token is wanted. */
  readonly offline: boolean
  readonly isForm: boolean
}

/** With or without Keycloak's old `/auth` in front. A route may have stripped it, together with `/realms`. */
const OF_REALM = /^(?:\/auth)?(?:\/realms)?\/([^/]+)\/protocol\/docker-v2\/(auth|revoke|certs)$/
const PLAIN = /^(?:\/auth)?\/(token|revoke|jwks\.json)$/

export class TokenService implements Service {
  readonly name: string
  readonly #realms: ReadonlyMap<string, Realm>
  readonly #record: TokenServiceOptions['record']

  constructor({ name, realms, record }: TokenServiceOptions) {
    this.name = name
    this.#realms = new Map(realms.map((realm) => [realm.name, realm]))
    this.#record = record
  }

  async forward(call: Call, response: HttpResponse): Promise<void> {
    call.record.service = this.name
    send(response, call.id, await this.#answer(call, response))
  }

  translateRefusal(error: GatewayError): GatewayError {
    return inRegistryWords(error)
  }

  async upgrade(): Promise<void> {
    throw new GatewayError('GW_BAD_REQUEST', 'an upgrade to a token server')
  }

  async #answer(call: Call, response: HttpResponse): Promise<Answer> {
    const [path = '', query = ''] = splitOnce(call.target, '?')
    const [, realmName, ofRealm] = OF_REALM.exec(path) ?? []
    const endpoint = ofRealm ?? PLAIN.exec(path)?.[1]
    const realm = realmName === undefined ? undefined : this.#realms.get(decoded(realmName))
    if (endpoint === undefined) return { status: 404, body: { error: 'RESTEASY003210: Could not find resource' } }
    if (realmName !== undefined && !realm) return { status: 404, body: { error: 'Realm does not exist' } }
    if (endpoint === 'certs' || endpoint === 'jwks.json') return this.#keys(call, realm)
    if (endpoint === 'revoke') return this.#revoke(call, response, realm)
    if (call.method !== 'GET' && call.method !== 'POST') return notAllowed('GET, POST')
    const request = await this.#read(call, response, realm, query)
    return 'status' in request ? request : this.#token(call, request)
  }

  /** Issues a token, where the caller may have one. */
  async #token(call: Call, request: TokenRequest): Promise<Answer> {
    const { realm, service, scopes, credentials } = request
    const identified = await identify(realm, call, service, credentials)
    if (identified.status === 'denied') return this.#denied(call, request, identified)
    const identity = identified.status === 'identified' ? identified.identity : undefined
    const now = Date.now()
    if (identity) assertCurrent(identity, now)
    const subject = subjectOf(realm, call, service, identity)
    const judgements = await judged(realm.rights, subject, scopes)
    const access = granted(scopes, judgements)
    // An anonymous caller who gets nothing is better asked for a password than given an empty token; without a scope it is a log-in.
    if (!identity && access.length === 0) return this.#denied(call, request, identified)
    call.record.user = identity?.user?.name
    const issued = issue(realm, service, identity, access, now)
    // A refresh token that was issued for another one would survive that one's end and revocation.
    const refreshToken =
      request.offline && identity?.user && credentials.kind !== 'refresh'
        ? await realm.refreshTokens.issue({
            user: identity.user.name,
            service,
            methods: identity.methods,
            secrets: realm.secretsShown(identity),
            issuedAt: now,
          })
        : undefined
    this.#record({ ...this.#facts(call, request, identity), granted: access.map(scopeText) }, 'registry token issued')
    return tokenAnswer(issued, request, access, now, refreshToken)
  }

  #denied(call: Call, request: TokenRequest, identified: Identified): Answer {
    const reason =
      identified.status === 'denied' ? identified.reason : 'nobody said who it is, and nothing is for everybody'
    this.#record({ ...this.#facts(call, request, undefined), granted: [], reason }, 'registry token refused')
    if (identified.status === 'denied') {
      const { headers = [] } = identified
      return request.isForm
        ? { ...(request.credentials.kind === 'refresh' ? REFRESH_DENIED : FORM_DENIED), headers }
        : registryError('UNAUTHORIZED', WRONG, request.scopes, headers)
    }
    const challenge = `Basic realm="${request.realm.name}"`
    return registryError('UNAUTHORIZED', 'authentication required', request.scopes, ['WWW-Authenticate', challenge])
  }

  #facts(call: Call, { realm, service, scopes, credentials, clientId }: TokenRequest, identity: Identity | undefined) {
    const claimed = credentials.kind === 'password' ? credentials.name : undefined
    return {
      request_id: call.id,
      remote_addr: call.connection.remoteAddress,
      realm: realm.name,
      service,
      user: identity?.user?.name ?? null,
      ...(identity || claimed === undefined ? {} : { claimed }),
      methods: identity?.methods ?? [],
      asked: scopes.map(scopeText),
      ...(clientId === undefined ? {} : { client_id: clientId.slice(0, 100) }),
    }
  }

  async #read(call: Call, response: HttpResponse, realm: Realm | undefined, query: string) {
    const isForm = call.method === 'POST'
    const parameters = isForm ? await readForm(call, response) : new URLSearchParams(query)
    const service = parameters.get('service')
    if (!service) return NO_SERVICE
    const found = realm ?? [...this.#realms.values()].find(({ services }) => services.has(service))
    if (!found?.services.has(service)) return UNKNOWN_SERVICE
    const scopes = parseScopes(parameters.getAll('scope'), found.maxScopes)
    if (!scopes) return oauthError('invalid_scope', `More than ${found.maxScopes} resources in one request`)
    const credentials = isForm ? formCredentials(parameters) : basicCredentials(call.request.rawHeaders)
    if (!credentials) return oauthError('unsupported_grant_type', 'grant_type must be password or refresh_token')
    return {
      realm: found,
      service,
      scopes,
      credentials,
      clientId: parameters.get('client_id') ?? undefined,
      offline: isForm ? parameters.get('access_type') === 'offline' : parameters.get('offline_token') === 'true',
      isForm,
    } satisfies TokenRequest
  }

  #keys(call: Call, realm: Realm | undefined): Answer {
    if (call.method !== 'GET' && call.method !== 'HEAD') return notAllowed('GET, HEAD')
    const realms = realm ? [realm] : [...this.#realms.values()]
    return { status: 200, body: { keys: realms.flatMap(({ signer }) => signer.jwks().keys) } }
  }

  /** RFC 7009: whoever has a refresh token may revoke it. The answer is the same for an unknown one. */
  async #revoke(call: Call, response: HttpResponse, realm: Realm | undefined): Promise<Answer> {
    if (call.method !== 'POST') return notAllowed('POST')
    const token = (await readForm(call, response)).get('token')
    if (!token) return oauthError('invalid_request', 'Token not provided')
    const realms = realm ? [realm] : [...this.#realms.values()]
    await Promise.all(realms.map(({ refreshTokens }) => refreshTokens.revoke(token)))
    return { status: 200, body: {} }
  }
}

/** Keycloak's sentences. */
const WRONG = 'Invalid username or password.'
const NO_SERVICE = oauthError('invalid_request', 'service parameter must be provided')
const UNKNOWN_SERVICE = oauthError('invalid_client', "Client specified by 'service' parameter does not exist")
const FORM_DENIED = formDenied(WRONG)
/** Clients keep these tokens without telling: whoever reads this has given no password for weeks. */
const REFRESH_DENIED = formDenied('Invalid refresh token; log in again.')

/** For OAuth 2's clients and for those that print a registry's errors. */
function formDenied(message: string): Answer {
  return {
    status: 401,
    body: {
      error: 'invalid_grant',
      error_description: message,
      errors: [{ code: 'UNAUTHORIZED', message, detail: [] }],
    },
  }
}

function notAllowed(methods: string): Answer {
  return { ...registryError('UNSUPPORTED', 'The operation is unsupported.'), headers: ['Allow', methods] }
}

/** Others have their turn in between: some rights make their expressions anew for each name. */
async function judged(rights: Rights, subject: Subject, scopes: readonly Resource[]): Promise<Judgement[]> {
  const judgements: (Judgement | Promise<Judgement>)[] = []
  const turn = inTurns()
  for (const scope of scopes) {
    const judgement = rights.judge(subject, scope, undefined)
    // Its failure is reported by what awaits all of them.
    if (judgement instanceof Promise) judgement.catch(() => {})
    judgements.push(judgement)
    await turn()
  }
  return Promise.all(judgements)
}

/** Resources of which nothing was granted are left out. */
function granted(scopes: readonly Resource[], judgements: readonly Judgement[]): Resource[] {
  return scopes.flatMap(({ type, name }, i) => {
    const actions = judgements[i]?.granted ?? []
    return actions.length > 0 ? [{ type, name, actions }] : []
  })
}

interface Issued {
  readonly token: string
  /** Seconds. */
  readonly expiresIn: number
}

/** A token lasts no longer than the proof of who it is for. */
function issue(
  { signer, tokenLifetime }: Realm,
  service: string,
  identity: Identity | undefined,
  access: readonly Resource[],
  now: number,
): Issued {
  const issuedAt = Math.floor(now / 1000)
  const expiresAt = Math.floor(Math.min(now + tokenLifetime, identity?.expiresAt ?? Number.POSITIVE_INFINITY) / 1000)
  const token = signer.sign({ subject: identity?.user?.name ?? '', audience: service, access, issuedAt, expiresAt })
  return { token, expiresIn: expiresAt - issuedAt }
}

function tokenAnswer(
  { token, expiresIn }: Issued,
  { isForm }: TokenRequest,
  access: readonly Resource[],
  now: number,
  refreshToken: string | undefined,
): Answer {
  return {
    status: 200,
    body: {
      token,
      access_token: token,
      expires_in: expiresIn,
      // Without fractions: clients take it apart in different ways.
      issued_at: `${new Date(now).toISOString().slice(0, 19)}Z`,
      ...(isForm && { token_type: 'Bearer', scope: access.map(scopeText).join(' ') }),
      ...(refreshToken === undefined ? {} : { refresh_token: refreshToken }),
    },
  }
}

function splitOnce(text: string, separator: string): [string, string?] {
  const at = text.indexOf(separator)
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)]
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment
  }
}
