/**
 * Direct mode: the gate stands in front of a registry and judges each request by its caller, method and path. A caller whom the route has identified,
 * by a certificate, needs no token. Everybody else gets the challenge and comes back with one.
 */

import type { Duplex } from 'node:stream'
import { GatewayError } from '../errors.ts'
import { headerValues } from '../http-fields/header-values.ts'
import type { HttpResponse } from '../http-messages.ts'
import type { Call, Service, User } from '../types.ts'
import { authorizations } from './credentials.ts'
import { denied, inRegistryWords, notFound, unauthorized } from './gate-refusals.ts'
import type { GateTokens } from './gate-tokens.ts'
import { isNamedAsRobot, subjectOf } from './identify.ts'
import { forwardFiltered, type ListFilter } from './list-filter.ts'
import { ListPages } from './list-pages.ts'
import type { Realm } from './realm.ts'
import { type RegistryRequest, readRequest } from './request.ts'
import type { Judgement, Subject } from './rights.ts'
import { type Resource, scopeText } from './scope.ts'
import type { TokenClaims } from './token-signer.ts'

export interface RegistryGateOptions {
  readonly realm: Realm
  /** The registry's name in tokens. */
  readonly service: string
  /** The registry. */
  readonly backend: Service
  /** Tokens for the registry; undefined for one that asks for none. */
  readonly tokens: GateTokens | undefined
  /** Whether lists are reduced to what the caller may pull. */
  readonly filter: boolean
  /** Where clients fetch tokens; undefined for the Host of the request. */
  readonly url: string | undefined
  /** For the operator. */
  readonly warn: (fields: Readonly<Record<string, unknown>>, message: string) => void
}

/** A caller of a registry. */
interface Visitor {
  readonly subject: Subject
  /** Of the token, for a caller who showed one: it says the most that the caller may do. */
  readonly claims: TokenClaims | undefined
  /** Whether the rules say what the caller may do now: a token alone says what they said when it was issued. */
  readonly known: boolean
}

export class RegistryGate implements Service {
  readonly name: string
  readonly #options: RegistryGateOptions
  /** Whether the registry refused the last request, which the gate had granted. */
  #isRefused = false

  constructor(options: RegistryGateOptions) {
    this.name = options.backend.name
    this.#options = options
  }

  async forward(call: Call, response: HttpResponse): Promise<void> {
    const { method, target } = call
    const [path, query] = parted(target)
    const wanted = this.#requestOf(method, path, query)
    const visitor = this.#visitorOf(call, wanted)
    if (!wanted || hidesForm(call)) throw notFound(`${method} ${path} is no request to a registry`)
    const judged = visitor.known ? this.#judge(visitor.subject, wanted) : wanted
    const granted = judged instanceof Promise ? await judged : judged
    const upstream = this.#callFor(call, visitor, granted)
    const { backend, filter } = this.#options
    if (granted.withoutQuery) await backend.forward({ ...upstream, target: path }, response)
    else if (filter && granted.list) await this.#forwardList(upstream, visitor.subject, granted, response)
    else await backend.forward(upstream, response)
    this.#tellOfRefusal(call)
  }

  async #forwardList(call: Call, subject: Subject, wanted: RegistryRequest, response: HttpResponse): Promise<void> {
    const [path, query] = parted(call.target)
    const shown = this.#filterFor(subject, wanted, path)
    const asked = await shown.pages.asked(query)
    if (asked === undefined) throw notFound('a page that begins at a place of which the caller may not know')
    const target = asked === '' ? path : `${path}?${asked}`
    await forwardFiltered(this.#options.backend, { ...call, target }, response, shown)
  }

  /** Once, when it begins: clients are sent for tokens, which change nothing, and only the registry's own log would say why. */
  #tellOfRefusal({ id, record }: Call): void {
    const wasRefused = this.#isRefused
    this.#isRefused = record.upstreamStatus === 401
    if (!this.#isRefused || wasRefused) return
    this.#options.warn({ service: this.name, request_id: id }, this.#options.tokens ? REFUSES_OURS : ASKS_FOR_ONE)
  }

  translateRefusal(error: GatewayError): GatewayError {
    return inRegistryWords(error)
  }

  /** A filtered catalog needs no right of its own. HEAD is not served on filtered lists: it would tell their full length. */
  #requestOf(method: string, path: string, query: string): RegistryRequest | undefined {
    const wanted = readRequest(method, path, query)
    if (!this.#options.filter || !wanted?.list) return wanted
    if (method === 'HEAD') return undefined
    return wanted.list === 'catalog' ? { ...wanted, access: [] } : wanted
  }

  async upgrade(_call: Call, _protocol: string, _socket: Duplex, _head: Buffer): Promise<void> {
    throw new GatewayError('GW_BAD_REQUEST', 'an upgrade to a registry')
  }

  /** @throws GatewayError with the challenge, for whoever has neither a certificate with rights nor a token */
  #visitorOf(call: Call, wanted: RegistryRequest | undefined): Visitor {
    const { realm, service } = this.#options
    const subject = subjectOf(realm, call, service, call.identity)
    const known = subject.user !== undefined || (subject.certificate !== undefined && realm.rights.byCertificate)
    const token = bearerOf(call)
    if (token === undefined) {
      if (isNamedAsRobot(realm, subject.user))
        throw unauthorized(this.#challenge(call, wanted?.access ?? []), 'the name of a robot, without its token')
      if (known) return { subject, claims: undefined, known }
      throw unauthorized(this.#challenge(call, wanted?.access ?? []), 'neither a certificate with rights nor a token')
    }
    const challenge = (error: string) => this.#challenge(call, wanted?.access ?? [], error)
    const claims = realm.signer.verify(token, Date.now())
    if (claims === 'expired') throw unauthorized(challenge('invalid_token'), 'a token of ours that has expired')
    if (!claims || claims.audience !== service)
      throw unauthorized(challenge('invalid_token'), 'no token of ours for it')
    if (subject.user && subject.user.name !== claims.subject) {
      throw unauthorized(challenge('invalid_token'), `a token for ${claims.subject}, shown by ${subject.user.name}`)
    }
    if (wanted && !allows(claims, wanted)) {
      throw unauthorized(
        challenge('insufficient_scope'),
        `the token does not say ${wanted.access.map(scopeText).join(' ')}`,
      )
    }
    call.record.user ??= claims.subject === '' ? undefined : claims.subject
    const user = subject.user ?? this.#userOf(claims)
    return { subject: { ...subject, user }, claims, known: subject.user !== undefined }
  }

  #userOf({ subject }: TokenClaims): User | undefined {
    const { robots, users } = this.#options.realm
    return subject === '' ? undefined : (robots.find(subject, Date.now())?.user ?? users.byName(subject))
  }

  /**
   * What is granted of a request: an upload may be left without the layer that it asks for. Returns a promise only where something has to be waited for.
   * @throws GatewayError GW_FORBIDDEN, or GW_UNDECIDED
   */
  #judge(subject: Subject, wanted: RegistryRequest): RegistryRequest | Promise<RegistryRequest> {
    const { access, tag } = wanted
    const judgements = access.map((resource) => this.#options.realm.rights.judge(subject, resource, tag))
    return judgements.some((each) => each instanceof Promise)
      ? Promise.all(judgements).then((settled) => grantedOf(wanted, settled))
      : grantedOf(wanted, judgements as Judgement[])
  }

  #filterFor(subject: Subject, { list, access }: RegistryRequest, path: string): ListFilter {
    const { rights, pageKey } = this.#options.realm
    const name = access[0]?.name ?? ''
    const mayShow = (entry: string) => {
      const [repository, tag] = list === 'catalog' ? [entry, ''] : [name, entry]
      const judgement = rights.judge(subject, { type: 'repository', name: repository, actions: ['pull'] }, tag)
      const pulls = ({ granted }: { granted: readonly string[] }) => granted.includes('pull')
      return judgement instanceof Promise ? judgement.then(pulls) : pulls(judgement)
    }
    return { list: list === 'catalog' ? 'repositories' : 'tags', mayShow, pages: new ListPages(pageKey, path, mayShow) }
  }

  /** The same call with our Authorization in place of the client's, which is not meant for the registry. */
  #callFor(call: Call, { subject, claims }: Visitor, wanted: RegistryRequest): Call {
    const { received, own, constant } = call.headers
    const { tokens } = this.#options
    const name = claims ? claims.subject : (subject.user?.name ?? '')
    const ours = tokens ? ['Authorization', tokens.authorization(name, wanted.token, Date.now())] : []
    return { ...call, headers: { received: withoutAuthorization(received), own: [...own, ...ours], constant } }
  }

  #challenge({ destination }: Call, access: readonly Resource[], error?: string): string {
    const { realm, service, url } = this.#options
    const base = url ?? `https://${destination.authority}`
    const scope = access.map(scopeText).join(' ')
    // An empty parameter breaks the parsers of all clients, so it is left out.
    return (
      `Bearer realm="${base}${challengePath(realm.name)}",service="${service}"` +
      `${scope === '' ? '' : `,scope="${scope}"`}${error === undefined ? '' : `,error="${error}"`}`
    )
  }
}

const REFUSES_OURS =
  'the registry refuses the token of the gateway: compare its realm, service, issuer and rootcertbundle with what "sallyport registry-config" prints, and its clock'
const ASKS_FOR_ONE = 'the registry asks for a token, and gets none: its gate has "token: off"'

/** Where the gate sends clients for a token. */
export function challengePath(realm: string): string {
  return `/auth/realms/${realm}/protocol/docker-v2/auth`
}

/** Undefined without one. Basic, as skopeo's `Og==`, is ignored here: the challenge sends the client to where it counts. */
function bearerOf({ request }: Call): string | undefined {
  const found = authorizations(request.rawHeaders)
  if (found.length > 1) throw new GatewayError('GW_BAD_REQUEST', 'two Authorization headers')
  return /^bearer +([A-Za-z0-9._~+/-]+=*) *$/i.exec(found[0] ?? '')?.[1]
}

/** @throws GatewayError GW_FORBIDDEN */
function grantedOf(wanted: RegistryRequest, judgements: readonly Judgement[]): RegistryRequest {
  for (const [i, resource] of wanted.access.entries()) {
    const missing = resource.actions.filter((action) => !judgements[i]?.granted.includes(action))
    if (missing.length === 0) continue
    // The first is the repository itself, and what follows is only asked to give a layer.
    if (i > 0 && wanted.unmounted) return wanted.unmounted
    throw denied({ ...resource, actions: missing }, wanted.tag)
  }
  return wanted
}

/** Path and query, without the `?`. */
function parted(target: string): readonly [string, string] {
  const at = target.indexOf('?')
  return at < 0 ? [target, ''] : [target.slice(0, at), target.slice(at + 1)]
}

function allows({ access }: TokenClaims, wanted: RegistryRequest): boolean {
  return wanted.access.every(({ type, name, actions }) => {
    const granted = access.find((each) => each.type === type && each.name === name)?.actions ?? []
    return actions.every((action) => granted.includes(action))
  })
}

/** Registries written in Go also read `from` and `mount` from a form, where the gate does not look. */
function hidesForm({ method, request }: Call): boolean {
  return method === 'POST' && /form/i.test(headerValues(request.rawHeaders, 'content-type').join())
}

function withoutAuthorization(headers: readonly string[]): string[] {
  const kept: string[] = []
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i] as string
    if (name.length === 'authorization'.length && name.toLowerCase() === 'authorization') continue
    kept.push(name, headers[i + 1] as string)
  }
  return kept
}
