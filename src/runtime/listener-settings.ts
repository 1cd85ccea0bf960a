import type { AccessRulesConfig, Config, ListenerConfig } from '../config/index.ts'
import type { Gateway } from '../gateway.ts'
import type { HttpRequest } from '../http-messages.ts'
import type { ListenerSettings } from '../listener/listener.ts'
import type { Carried } from '../listener/objection.ts'
import { createPeerSet } from '../routing/addresses.ts'
import { readHead } from '../routing/head.ts'
import type { Connection } from '../types.ts'
import type { Lasting } from './lasting.ts'
import type { ListenerServers } from './policies.ts'

/** Fewer are accepted where the limit of open files has no room for so many. */
const DEFAULT_MAX_CONNECTIONS = 16_384

/** For each of the workers. */
export function maxConnectionsOf(
  { max_connections = DEFAULT_MAX_CONNECTIONS }: ListenerConfig,
  workers: number,
): number {
  return Math.ceil(max_connections / workers)
}

/** The settings of a listener. Limits of the whole gateway are divided by its workers. */
export function settingsOf(
  listener: ListenerConfig,
  { shutdown, routes }: Pick<Config, 'shutdown' | 'routes'>,
  {
    policyFor,
    certificatesFor,
    successorFor,
    virtualFor,
  }: Pick<ListenerServers, 'policyFor' | 'certificatesFor' | 'successorFor' | 'virtualFor'>,
  gateway: Pick<Gateway, 'objection' | 'objectionByTime'>,
  lasting: Pick<Lasting, 'workers' | 'mappedUsers' | 'admitted' | 'authentication'>,
): ListenerSettings {
  const { workers, mappedUsers, admitted } = lasting
  const objectionTo = async (request: HttpRequest, connection: Connection, carried: Carried) => {
    const identity = admitted.identityOf(request)
    // It is asked again until it has been let in, or is over.
    if (!identity) throw new Error('it is not let in yet')
    const objection = await gateway.objection(request, connection, identity)
    // Meanwhile the connection may serve another request, which was let in by what is in use now.
    return carried.request === request ? objection : undefined
  }
  const hasTimes = routes.some(({ access_rules }) => access_rules.some(isByTime))
  const judgedIn = new WeakMap<HttpRequest, number>()
  /** Times of the week end with a minute. */
  const objectionByTime = (request: HttpRequest, connection: Connection): string | undefined => {
    const minute = Math.floor(Date.now() / 60_000)
    const identity = admitted.identityOf(request)
    if (!identity || judgedIn.get(request) === minute) return undefined
    judgedIn.set(request, minute)
    return gateway.objectionByTime(request, connection, identity)
  }
  const proxies = createPeerSet(listener.proxy_protocol_from)
  return {
    policyFor,
    certificatesFor,
    policyAsked: (request) => policyFor(hostOf(request)),
    successorFor,
    handshakeTimeout: listener.handshake_timeout,
    headerTimeout: listener.client_header_timeout,
    keepaliveTimeout: listener.keepalive_timeout,
    bodyTimeout: listener.client_body_timeout,
    // With more of the time, idle connections would be among those that are cut at the end.
    lastRequestTime: Math.min(shutdown.keepalive_timeout, shutdown.timeout / 2),
    keepaliveRequests: listener.keepalive_requests,
    maxHeaderSize: listener.client_max_header_size,
    maxTarget: listener.client_max_uri_size,
    maxConnections: maxConnectionsOf(listener, workers),
    maxConnectionsPerAddress: Math.ceil(listener.max_connections_per_address / workers),
    connectionRateLimit: Math.ceil(listener.connection_rate_limit / workers),
    sendsProxyHeader: (address) => proxies.has(address),
    welcome(connection, carried) {
      const { socket, request } = carried
      const asMapped = mappedUsers.objection(socket, connection, virtualFor)
      const asRequested = () => request && objectionTo(request, mappedUsers.presentedOn(socket) ?? connection, carried)
      if (asMapped instanceof Promise) return asMapped.then((objection) => objection ?? asRequested())
      return asMapped ?? asRequested()
    },
    objection(connection, { socket, request }) {
      // Of the configuration in use, also for a listener that it no longer has.
      const methods = lasting.authentication?.methods.byName
      const asLetIn = methods && admitted.objection(socket, methods)
      const byTime = () =>
        hasTimes && request ? objectionByTime(request, mappedUsers.presentedOn(socket) ?? connection) : undefined
      if (asLetIn instanceof Promise) return asLetIn.then((objection) => objection ?? byTime())
      return asLetIn ?? byTime()
    },
  }
}

function isByTime({ allow = [], deny = [] }: AccessRulesConfig): boolean {
  return [...allow, ...deny].some(({ times }) => times)
}

/** The request passed the limits when it came. */
const NO_LIMITS = { maxHeaders: Number.POSITIVE_INFINITY, maxTarget: Number.POSITIVE_INFINITY }

/** Undefined for a malformed request, which is just being refused. */
function hostOf(request: HttpRequest): string | undefined {
  try {
    return readHead(request, NO_LIMITS).destination.host
  } catch {
    return undefined
  }
}
