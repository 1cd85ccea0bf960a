/** The whole decision on one request, phase by phase, made by the gateway's own parts: plain data for `inspect` to print. */
import { type LoadedConfig, listenText, type ServerConfig } from '../config/index.ts'
import { GatewayError, toGatewayError } from '../errors.ts'
import { Gateway, type Phases } from '../gateway.ts'
import { verificationText } from '../identity/fields.ts'
import { createUsers } from '../identity/users.ts'
import { verify } from '../listener/admission.ts'
import { createLog } from '../log/log.ts'
import { createMetrics } from '../metrics/metrics.ts'
import { createLasting } from '../runtime/lasting.ts'
import { buildRuntime, type ListenerRuntime, type Runtime } from '../runtime/runtime.ts'
import type { VerifyOptions } from '../tls-cert-utils/verify.ts'
import type { Connection, Identity, Trial, User, VirtualServer } from '../types.ts'
import { connectionOf, pairs, sentences, verdictOf } from './inspection.ts'
import { hostOf, type Question, requestOf } from './question.ts'

export interface Decision {
  readonly request: string
  readonly listen: string
  readonly server: string
  readonly ssl_verify_client: string
  /** `NONE`, `SUCCESS` or `FAILED:reason`. */
  readonly verified: string
  readonly findings: readonly string[]
  readonly route: string | undefined
  readonly service: string | undefined
  /** Each mapping rule of the server, in order. */
  readonly rules: readonly Trial[]
  /** How many rules are left out where there are many. */
  readonly rules_left_out: number
  /** The result of the server's mappers, plugins included, for a verified certificate. */
  readonly mapping: string | undefined
  readonly user: Pick<User, 'id' | 'name' | 'groups'> | undefined
  /** The methods that agreed on the user. */
  readonly methods: readonly string[]
  /** The setting of `allow` or `deny` that decided, where there is one. */
  readonly decided_by: string | undefined
  /** Undefined where the request goes to the service. */
  readonly refusal: { readonly status: number; readonly code: string; readonly detail: string } | undefined
  /** The headers that the backend would get. */
  readonly headers: readonly (readonly [name: string, value: string])[]
}

/** Nobody reads a longer list to its end. */
const MOST_RULES = 200

/** @throws ConfigError where the gateway would not start */
export async function decideOn(
  question: Question,
  sent: VerifyOptions['sent'] | undefined,
  loaded: LoadedConfig,
): Promise<Decision> {
  // It is never committed: nothing listens, and nothing of it is put in use.
  const runtime = buildRuntime(forgetful(loaded), createLasting(createLog({ level: 'silent' }), createMetrics()))
  // The threads that check passwords do not keep the process alive, and nothing else does here.
  const alive = setInterval(() => {}, 60_000)
  try {
    await runtime.ready()
    return await decide(question, sent, runtime)
  } finally {
    clearInterval(alive)
    runtime.close()
  }
}

/**
 * Gives the configuration a store of its own: a code that is tried here must not be used up, nor a user locked out, at a running gateway with the
 * same store.
 */
function forgetful(loaded: LoadedConfig): LoadedConfig {
  if (!loaded.config) return loaded
  const { redis_url: _shared, ...store } = loaded.config.store
  return { ...loaded, config: { ...loaded.config, store } }
}

async function decide(
  question: Question,
  sent: VerifyOptions['sent'] | undefined,
  runtime: Runtime,
): Promise<Decision> {
  const listener = listenerFor(question, runtime)
  const virtual = listener.phases.serverFor(hostOf(question))
  const config = configOf(virtual, listener)
  const verdict = sent && verdictOf(sent, config, runtime.materials)
  const made = connectionOf(sent, config, verdict)
  const place = { policy: virtual.policy, serverName: hostOf(question), remoteAddress: question.address ?? '' }
  const connection: Connection = Object.freeze({ ...made, ...place })
  const trials = trialsOf(virtual, connection)
  const walk = new Walk(question, { runtime, listener, virtual, config, connection })
  await walk.run()
  return {
    request: `${question.method} ${question.url.origin}${question.target}`,
    listen: listenText(listener.config.listen),
    server: virtual.name,
    ssl_verify_client: virtual.verify,
    verified: verificationText(connection.verification),
    findings: verdict ? sentences(verdict) : [],
    rules: trials.filter(({ matched }, i) => matched || i < MOST_RULES),
    rules_left_out: trials.filter(({ matched }, i) => !matched && i >= MOST_RULES).length,
    mapping: await mappingOf(virtual, connection),
    ...walk.found,
  }
}

type Found = Pick<Decision, 'route' | 'service' | 'user' | 'methods' | 'decided_by' | 'refusal' | 'headers'> &
  Partial<Pick<Decision, 'verified'>>

interface Surroundings {
  readonly runtime: Runtime
  readonly listener: ListenerRuntime
  readonly virtual: VirtualServer
  readonly config: ServerConfig
  readonly connection: Connection
}

/** Lets the gateway decide on the request, and records how far it gets. Nothing is sent to the service. */
class Walk {
  readonly #question: Question
  readonly #at: Surroundings
  found: Found = {
    route: undefined,
    service: undefined,
    user: undefined,
    methods: [],
    decided_by: undefined,
    refusal: undefined,
    headers: [],
  }

  constructor(question: Question, at: Surroundings) {
    this.#question = question
    this.#at = at
  }

  async run(): Promise<void> {
    try {
      await this.#pass()
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error
      const { code, detail, entry } = error
      this.#note({ refusal: { status: entry.status, code, detail } })
    }
  }

  async #pass(): Promise<void> {
    shakeHands(this.#at)
    const { connection } = this.#at
    const [id, request, phases] = ['inspect', requestOf(this.#question), this.#phases()]
    // Never finished, and so neither logged nor counted.
    const record = phases.begin(id, request, connection)
    const { call } = await new Gateway(phases).admit(id, request, connection, record)
    const { received, own, constant } = call.headers
    this.#note({
      headers: pairs([...received, ...own, ...constant.flatMap(({ list }) => list)]).map((header) =>
        this.#withoutSecret(header),
      ),
    })
  }

  /** The listener's own phases, which note how far the request has come. */
  #phases(): Phases {
    const { virtual, listener } = this.#at
    const { phases } = listener
    return {
      ...phases,
      serverFor: () => virtual,
      admit: (server, connection, now) => {
        // Behind a load balancer that of its client, whom a header tells.
        this.#note({ verified: verificationText(connection.verification) })
        phases.admit(server, connection, now)
      },
      authenticate: (route, caller) => {
        this.#note({ route: route.name, service: route.service.name })
        return this.#assumed() ?? phases.authenticate(route, caller)
      },
      authorize: (route, caller, identity) => {
        this.#note({ ...userOf(identity), decided_by: route.access?.decidedBy?.(caller, identity) })
        return phases.authorize(route, caller, identity)
      },
    }
  }

  /** Undefined where the request itself must show who is calling. */
  #assumed(): Identity | undefined {
    const { user: name } = this.#question
    if (name === undefined) return undefined
    const { consumers, disabled_consumers: disabled } = this.#at.runtime.config
    const users = createUsers(consumers, disabled)
    if (users.isDisabled(name)) throw new GatewayError('GW_UNAUTHENTICATED', `${name} is not enabled`)
    const known = users.byName(name)
    const user = known ?? { id: name, name, groups: [], customId: undefined }
    return { user, methods: ['--user'], credential: undefined, expiresAt: Number.POSITIVE_INFINITY }
  }

  /** A value from the command line may be a secret that this route does not hide. */
  #withoutSecret([name, value]: readonly [string, string]): readonly [string, string] {
    const isGiven = this.#question.headers.some(([own]) => own.toLowerCase() === name.toLowerCase())
    return isGiven ? [name, '(as sent)'] : [name, value]
  }

  #note(found: Partial<Found>): void {
    this.found = { ...this.found, ...found }
  }
}

/** @throws GatewayError where the handshake fails, so that there is no request */
function shakeHands({ config, virtual, connection }: Surroundings): void {
  if (config.ssl_reject_handshake)
    throw new GatewayError(
      'GW_MISDIRECTED',
      'the handshake fails with the alert unrecognized_name (ssl_reject_handshake)',
    )
  if (config.ssl_verify_failure !== 'reject') return
  try {
    verify(virtual, undefined, connection, Date.now())
  } catch (error) {
    const { code, detail } = toGatewayError(error)
    throw new GatewayError(code, `the handshake fails (ssl_verify_failure: reject): ${detail}`)
  }
}

function userOf({ user, methods }: Identity): Pick<Decision, 'user' | 'methods'> {
  return { user: user && { id: user.id, name: user.name, groups: user.groups }, methods }
}

/** Only a verified certificate is mapped to a user. */
function trialsOf({ mapper }: VirtualServer, connection: Connection): Trial[] {
  const { certificate, verification } = connection
  if (!certificate || verification.result !== 'SUCCESS') return []
  return [...(mapper?.trials?.(certificate, connection) ?? [])]
}

async function mappingOf({ mapper }: VirtualServer, connection: Connection): Promise<string | undefined> {
  const { certificate, verification } = connection
  if (!mapper || !certificate || verification.result !== 'SUCCESS') return undefined
  try {
    const mapping = await mapper.map(certificate, connection)
    return mapping.status === 'mapped' ? `${mapping.user.name}: ${mapping.reason}` : `nobody: ${mapping.reason}`
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error
    return `undecided: ${error.detail}`
  }
}

/** The listener on the port of the URL, else the first with a server of that name, else the first. */
function listenerFor(question: Question, { listeners }: Runtime): ListenerRuntime {
  const port = Number(question.url.port || 443)
  const names = (listener: ListenerRuntime) => listener.config.servers.flatMap((server) => server.server_names)
  const found =
    listeners.find(({ config }) => 'port' in config.listen && config.listen.port === port) ??
    listeners.find((listener) => names(listener).includes(hostOf(question))) ??
    listeners[0]
  if (!found) throw new Error('a configuration without listeners passed the check')
  return found
}

function configOf(virtual: VirtualServer, { config }: ListenerRuntime): ServerConfig {
  const found = config.servers.find(({ server_names: names }) => (names[0] ?? '_') === virtual.name)
  if (!found) throw new Error('a server that is not in the configuration')
  return found
}
