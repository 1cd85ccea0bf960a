import type { Duplex } from 'node:stream'
import { GatewayError, toGatewayError } from './errors.ts'
import type { HttpRequest, HttpResponse } from './http-messages.ts'
import type {
  Call,
  Caller,
  CallHeaders,
  CallLimits,
  Connection,
  Destination,
  Identity,
  Match,
  RequestHead,
  RequestRecord,
  Route,
  Service,
  VirtualServer,
} from './types.ts'

/** How long a client may go on sending a body that nobody wants any more, in milliseconds (nginx's `lingering_time`). */
const LINGERING_TIME = 30_000

/** The phases of a request: runtime/phases.ts makes them for each listener, and the gateway puts them in order. */
export interface Phases {
  /** @throws GatewayError for everything malformed or ambiguous */
  readHead(request: HttpRequest): RequestHead
  /** The request's id: ours, or a trusted peer's. */
  requestId(connection: Connection, request: HttpRequest): string
  /** The virtual server that Host names. */
  serverFor(host: string): VirtualServer
  /**
   * The connection as this request sees it. Where a load balancer in front sends the client's certificate in a header, it holds that certificate
   * instead of the load balancer's own. It is the same object for the same certificate on the same connection. Returns a promise only where something
   * has to be waited for.
   * @throws GatewayError GW_BAD_REQUEST where the header is malformed or ambiguous
   */
  connectionOf(server: VirtualServer, connection: Connection, request: HttpRequest): Connection | Promise<Connection>
  /** @throws GatewayError where the connection was judged by another policy (421), or the server demands a certificate that is missing or bad (400) */
  admit(server: VirtualServer, connection: Connection, now: number): void
  /** @throws GatewayError where the route does not serve this protocol */
  route(method: string, head: RequestHead, request: HttpRequest, connection: Connection): Match | undefined
  /**
   * The connection as the route may see it. Without a route, the server's demands hold.
   * @throws GatewayError where the certificate does not meet the demands (400), or has no allowed name (403)
   */
  verify(server: VirtualServer, route: Route | undefined, connection: Connection, now: number): Connection
  /** @throws GatewayError where the route's demands are not met (401), or nobody can tell (503) */
  authenticate(route: Route, caller: Caller): Identity | Promise<Identity>
  /** Nobody is asked again. @throws GatewayError where whoever has been let in as that would have to prove more by now (401) */
  recognize(route: Route, caller: Caller, identity: Identity): void
  /** @throws GatewayError where the caller may not pass (403), or nobody can tell (503) */
  authorize(route: Route, caller: Caller, identity: Identity): void | Promise<void>
  /** The same by what time changes. Nobody is asked. @throws GatewayError where the times of his route are over (403) */
  authorizeByTime(route: Route, caller: Caller, identity: Identity): void
  /** Notes whom the connection serves from now on, so that a long answer can be ended when his credential ends. */
  admitted(request: HttpRequest, identity: Identity): void
  /** Path and query to ask the service for, without credentials that are meant for the gateway. */
  target(match: Match, destination: Destination): string
  /** The client's end-to-end headers without any that are ours to write, then ours. */
  headers(caller: Caller, head: RequestHead, match: Match, identity: Identity): CallHeaders
  readonly limits: CallLimits
  begin(id: string, request: HttpRequest, connection: Connection): RequestRecord
  refuse(error: GatewayError, id: string, request: HttpRequest, response: HttpResponse): void
  /** The whole answer has been written. Its last bytes may still wait for a client that does not read. */
  answered(request: HttpRequest): void
  /** Refuses an upgrade, where there is no response object, and ends the connection. */
  refuseUpgrade(error: GatewayError, id: string, request: HttpRequest, socket: Duplex): void
  /** Logs a defect of the gateway itself. Never throws. */
  failed(defect: unknown): void
}

/**
 * The life of a request, from a finished handshake to a line in the log. The order of the phases is the security policy, and it is defined only here.
 * docs/request.md walks through it.
 */
export class Gateway {
  readonly #phases: Phases

  constructor(phases: Phases) {
    this.#phases = phases
  }

  async handle(request: HttpRequest, response: HttpResponse, connection: Connection): Promise<void> {
    let record: RequestRecord | undefined
    try {
      const id = this.#phases.requestId(connection, request)
      record = this.#phases.begin(id, request, connection)
      try {
        const admitting = this.admit(id, request, connection, record)
        const { service, call } = admitting instanceof Promise ? await admitting : admitting
        await service.forward(call, response)
      } catch (caught) {
        record.error = refusalOf(caught, record, id)
        this.#phases.refuse(record.error, id, request, response)
      }
      const begun = record
      // Only then is it known how long the answer is, and how much of it the client has yet to read.
      response.afterWrite((lost) => {
        if (lost) begun.error = lost
        this.#finish(request, response, begun)
      })
    } catch (defect) {
      this.#giveUp(defect, request.socket, record)
    }
  }

  /** Never throws: answers to other clients may be written next. */
  #finish(request: HttpRequest, response: HttpResponse, record: RequestRecord): void {
    try {
      record.finish(response.headersSent ? response.statusCode : 0)
      this.#phases.answered(request)
      if (!request.complete) linger(request)
    } catch (defect) {
      this.#giveUp(defect, request.socket, record)
    }
  }

  /** An upgrade passes through the same phases; only its answer differs. */
  async upgrade(request: HttpRequest, socket: Duplex, head: Buffer, connection: Connection): Promise<void> {
    let record: RequestRecord | undefined
    try {
      const id = this.#phases.requestId(connection, request)
      record = this.#phases.begin(id, request, connection)
      try {
        const admitting = this.admit(id, request, connection, record)
        const { service, call } = admitting instanceof Promise ? await admitting : admitting
        if (call.body.kind !== 'none') throw new GatewayError('GW_BAD_REQUEST', 'an upgrade with a body')
        await service.upgrade(call, 'websocket', socket, head)
      } catch (caught) {
        record.error = refusalOf(caught, record, id)
        if (record.upstreamStatus === undefined) this.#phases.refuseUpgrade(record.error, id, request, socket)
        else socket.destroy()
      }
      record.finish(record.upstreamStatus ?? record.error?.entry.status ?? 0)
    } catch (defect) {
      this.#giveUp(defect, socket, record)
    }
  }

  /**
   * Why a request that has been let in, and goes on for long, would be refused if it came now; undefined where it would not. Its credentials are not asked for
   * again: what they are worth by now is looked at elsewhere. Rejects where nobody can tell.
   */
  async objection(request: HttpRequest, connection: Connection, identity: Identity): Promise<string | undefined> {
    try {
      const { match, caller } = this.#arriveAgain(request, connection)
      this.#phases.recognize(match.route, caller, identity)
      await this.#phases.authorize(match.route, caller, identity)
      return undefined
    } catch (error) {
      return objectionOf(error)
    }
  }

  /** The same as time passes: nobody is asked, so that it can be looked at again and again. */
  objectionByTime(request: HttpRequest, connection: Connection, identity: Identity): string | undefined {
    try {
      const { match, caller } = this.#arriveAgain(request, connection)
      this.#phases.authorizeByTime(match.route, caller, identity)
      return undefined
    } catch (error) {
      return objectionOf(error)
    }
  }

  #arriveAgain(request: HttpRequest, connection: Connection): Arrival {
    const head = this.#phases.readHead(request)
    const server = this.#phases.serverFor(head.destination.host)
    return this.#route({ id: '', request, server, connection }, head, {})
  }

  /** Even the refusal failed. This ends one connection and no other. */
  #giveUp(defect: unknown, socket: Duplex, record: RequestRecord | undefined): void {
    socket.destroy()
    this.#phases.failed(defect)
    if (!record) return
    record.error = toGatewayError(defect)
    record.finish(0)
  }

  /**
   * The phases before the service. Returns a promise only where one of them has to wait.
   * @throws GatewayError of the phase that refuses the request
   */
  admit(id: string, request: HttpRequest, peer: Connection, record: RequestRecord): Admitted | Promise<Admitted> {
    const arriving = this.#arrive(id, request, peer, record)
    return arriving instanceof Promise
      ? arriving.then((arrival) => this.#letIn(arrival, record))
      : this.#letIn(arriving, record)
  }

  #letIn(arrival: Arrival, record: RequestRecord): Admitted | Promise<Admitted> {
    const identified = this.#identify(arrival, record)
    return identified instanceof Promise
      ? identified.then((identity) => this.#admitted(arrival, identity, record))
      : this.#admitted(arrival, identified, record)
  }

  #admitted(arrival: Arrival, identity: Identity, record: RequestRecord): Admitted {
    return { service: arrival.match.route.service, call: this.#callOf(arrival, identity, record) }
  }

  /** From the bytes of a request to its route. Returns a promise only where its certificate has to be waited for. */
  #arrive(id: string, request: HttpRequest, peer: Connection, record: RequestRecord): Arrival | Promise<Arrival> {
    const head = this.#phases.readHead(request)
    const server = this.#phases.serverFor(head.destination.host)
    const connection = this.#phases.connectionOf(server, peer, request)
    return connection instanceof Promise
      ? connection.then((found) => this.#route({ id, request, server, connection: found }, head, record))
      : this.#route({ id, request, server, connection }, head, record)
  }

  #route(
    { id, request, server, connection }: Pick<Caller, 'id' | 'request' | 'server' | 'connection'>,
    head: RequestHead,
    record: Partial<Pick<RequestRecord, 'connection' | 'route'>>,
  ): Arrival {
    const { destination } = head
    record.connection = connection
    const now = Date.now()
    this.#phases.admit(server, connection, now)

    const method = request.method as string
    const match = this.#phases.route(method, head, request, connection)
    record.route = match?.route
    const seen = this.#phases.verify(server, match?.route, connection, now)
    if (!match)
      throw new GatewayError('GW_ROUTE_NOT_FOUND', `no route for ${method} ${destination.host}${destination.path}`)
    return { head, match, caller: { id, request, connection: seen, server, method, destination } }
  }

  /** Who is calling, and whether he may. Returns a promise only where something has to be waited for. */
  #identify(arrival: Arrival, record: RequestRecord): Identity | Promise<Identity> {
    const identified = this.#phases.authenticate(arrival.match.route, arrival.caller)
    return identified instanceof Promise
      ? identified.then((identity) => this.#authorize(arrival, identity, record))
      : this.#authorize(arrival, identified, record)
  }

  #authorize({ match, caller }: Arrival, identity: Identity, record: RequestRecord): Identity | Promise<Identity> {
    record.user = identity.user?.name
    const waiting = this.#phases.authorize(match.route, caller, identity)
    return waiting instanceof Promise ? waiting.then(() => this.#note(caller, identity)) : this.#note(caller, identity)
  }

  #note({ request }: Caller, identity: Identity): Identity {
    this.#phases.admitted(request, identity)
    return identity
  }

  #callOf({ head, match, caller }: Arrival, identity: Identity, record: RequestRecord): Call {
    const { id, request, connection, server, method, destination } = caller
    const { authority } = destination
    return {
      id,
      request,
      method,
      destination,
      target: this.#phases.target(match, destination),
      host: match.preserveHost ? authority : undefined,
      headers: this.#phases.headers(caller, head, match, identity),
      body: head.framing,
      expectContinue: head.expectContinue,
      limits: this.#phases.limits,
      record,
      connection,
      server,
      identity,
    }
  }
}

/** A request that may pass, and who answers it. */
interface Admitted {
  readonly service: Service
  readonly call: Call
}

/** A request that has found its route. */
interface Arrival {
  readonly head: RequestHead
  readonly match: Match
  readonly caller: Caller
}

/** @throws where nobody can tell */
function objectionOf(error: unknown): string {
  const { code, detail, entry } = toGatewayError(error)
  if (entry.status === 503) throw error
  return `its request would be refused by now: ${code}: ${detail}`
}

/** Why the request is refused, in the words of its service's protocol once its route is known. */
function refusalOf(caught: unknown, { route }: RequestRecord, id: string): GatewayError {
  const error = toGatewayError(caught)
  return route?.service.translateRefusal?.(error, id) ?? error
}

/** The answer is sent, but the client is still sending. Its bytes are read, so that a reset cannot overtake the answer, but not for ever. */
function linger(request: HttpRequest): void {
  // 'close' was emitted already, so nothing would clear the timer.
  if (request.body.destroyed) return
  const timer = setTimeout(() => request.socket.destroy(), LINGERING_TIME)
  request.body.once('close', () => clearTimeout(timer)).resume()
}
