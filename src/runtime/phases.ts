import type { Admitted } from '../auth/admitted.ts'
import { NOBODY } from '../auth/chain.ts'
import type { MappedUsers } from '../auth/mapped-users.ts'
import { withoutKeys } from '../auth/query-keys.ts'
import type { Config, ListenerConfig } from '../config/index.ts'
import { GatewayError } from '../errors.ts'
import type { Phases } from '../gateway.ts'
import { createClientCertForwarding } from '../identity/client-cert-forwarding.ts'
import type { ForwardedHeaders } from '../identity/forwarded.ts'
import { createRequestHeaderFilter } from '../identity/headers.ts'
import { admit, verify } from '../listener/admission.ts'
import type { PresentedStreams } from '../listener/presented-streams.ts'
import type { Log } from '../log/log.ts'
import { acceptOf, refusalBytes, refuse } from '../refuse.ts'
import { createPeerSet } from '../routing/addresses.ts'
import { readHead } from '../routing/head.ts'
import type { Router } from '../routing/router.ts'
import { endGently } from '../sockets/end-gently.ts'
import type { Access, Route, VirtualServer } from '../types.ts'
import { watchUnread } from '../upstream/unread.ts'
import { identityHeadersOf, ownedNamesOf } from './identity.ts'
import type { ListenerServers } from './policies.ts'
import { createConnectionOf } from './presented.ts'

export interface PhasesOptions {
  readonly config: Config
  readonly listener: ListenerConfig
  readonly virtualFor: (host: string) => VirtualServer
  readonly ownUris: (serverName: string | undefined) => readonly string[]
  readonly servers: ListenerServers['servers']
  readonly router: Router
  readonly forwarded: ForwardedHeaders
  /** The access of routes without demands of their own, on a server with `verify_and_map`. */
  readonly mappedAccess: Access
  readonly mappedUsers: MappedUsers
  readonly presentedStreams: PresentedStreams
  readonly admitted: Admitted
  readonly begin: Phases['begin']
  readonly log: Log
}

/** Compiles everything that the requests of one listener need, so that a request only runs it. */
export function createPhases(options: PhasesOptions): Phases {
  const { config, listener, virtualFor, router, mappedAccess } = options
  const accessOf = (route: Route, { verifyAndMap }: VirtualServer) =>
    route.access ?? (verifyAndMap ? mappedAccess : undefined)
  const ownedNames = ownedNamesOf(config)
  const filter = createRequestHeaderFilter({ ownedNames, underscores: listener.underscores_in_headers })
  const identity = identityHeadersOf(config, options.ownUris)
  const trusted = createPeerSet(config.trusted_ips)
  const clientCert = config.identity_presets.includes('envoy')
    ? createClientCertForwarding({
        mode: config.forward_client_cert_details,
        trusted,
        maxSize: config.identity_headers_max_size,
      })
    : undefined
  const { forwarded } = options
  const limits = { maxHeaders: listener.max_headers, maxTarget: listener.client_max_uri_size }
  return {
    readHead: (request) => readHead(request, limits),
    requestId: (connection, request) => forwarded.requestId(connection, request.rawHeaders),
    serverFor: virtualFor,
    connectionOf: createConnectionOf(options.servers, trusted, options),
    admit,
    verify,
    route: (method, { destination }, request, { serverName }) =>
      router.match({ destination, method, rawHeaders: request.rawHeaders, serverName }),
    authenticate: (route, caller) => accessOf(route, caller.server)?.authenticate(caller) ?? NOBODY,
    recognize(route, caller, identity) {
      if (accessOf(route, caller.server)?.suffices(caller, identity) !== false) return
      const who = identity.user?.name ?? 'somebody who is no user'
      throw new GatewayError('GW_UNAUTHENTICATED', `${who} was let in by ${identity.methods.join(', ') || 'nothing'}`)
    },
    authorize: (route, caller, identity) => accessOf(route, caller.server)?.authorize(caller, identity),
    authorizeByTime: ({ access }, caller, identity) => access?.authorizeByTime?.(caller, identity),
    admitted: (request, identity) => options.admitted.note(request, identity),
    target: ({ route, upstreamPath }, { query }) =>
      upstreamPath + (route.access?.hides?.queryKeys ? withoutKeys(query, route.access.hides.queryKeys) : query),
    headers({ id, request, connection, server }, head, match, who) {
      const received: string[] = []
      const own: string[] = []
      filter.append(
        request.rawHeaders,
        head.connectionOptions,
        received,
        accessOf(match.route, server)?.hides?.isHeader,
      )
      const origin = forwarded.append(own, connection, {
        id,
        rawHeaders: request.rawHeaders,
        httpVersion: request.httpVersion,
        authority: head.destination.authority,
        strippedPrefix: match.strippedPrefix,
      })
      const told = identity.for(connection, who)
      const constant = [origin, clientCert?.append(own, connection, request.rawHeaders, told) ?? told]
      return { received, own, constant }
    },
    limits: {
      maxBodySize: listener.client_max_body_size,
      bodyTimeout: listener.client_body_timeout,
      sendTimeout: listener.send_timeout,
    },
    begin: options.begin,
    refuse,
    answered: ({ socket }) => {
      if (socket.writableLength > 0) watchUnread(socket, listener.send_timeout)
    },
    refuseUpgrade: (error, id, request, socket) => endGently(socket, refusalBytes(error, id, acceptOf(request))),
    failed: (err) => options.log.error({ err }, 'unforeseen error: a connection was closed'),
  }
}
