import { createServer, type Server } from 'node:http'
import type { Socket } from 'node:net'
import { ClientRequest, ClientResponse } from './client-messages.ts'

export type HttpServer = Server<typeof ClientRequest, typeof ClientResponse>

/** node:http's server, set up for the gateway. `mayUpgrade` is called for each request that wants to upgrade its connection. */
export function createHttpServer(mayUpgrade: (request: ClientRequest) => boolean): HttpServer {
  return createServer({
    IncomingMessage: ClientRequest,
    ServerResponse: ClientResponse,
    keepAlive: true,
    noDelay: true,
    optimizeEmptyRequests: true,
    // Host is checked together with the request's target, so that its refusal is logged and answered like any other.
    requireHostHeader: false,
    // A request may take as long as its body keeps coming; client_body_timeout bounds the gaps.
    requestTimeout: 0,
    connectionsCheckingInterval: 1000,
    shouldUpgradeCallback: mayUpgrade,
  })
}

export interface HttpLimits {
  /** Bytes of a request's head. */
  readonly maxHeaderSize: number
  readonly headerTimeout: number
  readonly keepaliveTimeout: number
  /** Milliseconds between two reads of a body that is no longer needed. */
  readonly bodyTimeout: number
}

export function applyLimits(server: HttpServer, limits: HttpLimits): void {
  const { maxHeaderSize, headerTimeout, keepaliveTimeout } = limits
  Object.assign(server, { maxHeaderSize })
  server.headersTimeout = headerTimeout
  server.keepAliveTimeout = keepaliveTimeout
  // 0 passes every header to the count in readHead. With a limit here, node:http hides the headers beyond it but still frames by them
  // (CVE-2026-58044).
  server.maxHeadersCount = 0
}

/** Returns the function that serves a socket as HTTP. From now on the server itself passes its sockets only to `accept`. */
export function takeConnections(server: HttpServer, accept: (socket: Socket) => void): (socket: Socket) => void {
  const [serve] = server.listeners('connection') as ((socket: Socket) => void)[]
  if (!serve) throw new Error('node:http no longer serves the sockets that its server emits')
  server.removeAllListeners('connection').on('connection', accept)
  return serve.bind(server)
}
