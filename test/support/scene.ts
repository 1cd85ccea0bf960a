/**
 * The scene of most tests: clients with certificates of one authority, a gateway, and a backend that demands the gateway's certificate.
 * Each side has an authority of its own, so that a trust store used for the wrong side shows.
 */
import { type Backend, type BackendOptions, startBackend } from './backend.ts'
import { type Gateway, type GatewayOptions, startGateway } from './gateway.ts'
import { type Authority, authority, type Issued } from './pki.ts'

/** A configuration with the fields that tests change; everything else goes through as it is. */
export interface GatewayConfig {
  readonly listeners?: readonly object[]
  readonly services?: readonly object[]
  readonly [name: string]: unknown
}

export interface Scene {
  /** Signs the clients' certificates. */
  readonly clients: Authority
  /** Signs the gateway's server certificates. */
  readonly servers: Authority
  /** Signs the backend's certificate and the gateway's own. */
  readonly inside: Authority
  readonly ada: Issued
  /** What the gateway shows to backends: CN=gateway. */
  readonly own: Issued
  readonly front: Issued
  readonly backend: Backend
  /** The configuration: `localhost`, `ssl_verify_client: optional`, one service with one route for everything; each part replaced by the given one. */
  config(parts?: GatewayConfig): GatewayConfig
  /** A virtual server for `localhost`, each field replaced by the given one. */
  server(fields?: object): object
  start(parts?: GatewayConfig, options?: Omit<GatewayOptions, 'config'>): Promise<Gateway>
}

export async function makeScene(backendOptions: Partial<BackendOptions> = {}): Promise<Scene> {
  const clients = authority('clients')
  const servers = authority('servers')
  const inside = authority('inside')
  const own = inside.client('gateway')
  const front = servers.server('localhost')
  const backend = await startBackend({ certificate: inside.server('localhost'), clients: inside, ...backendOptions })
  const server = (fields: object = {}) => ({
    server_names: ['localhost'],
    ssl_certificate: front.chain,
    ssl_certificate_key: front.key,
    ssl_client_certificate: clients.certificate,
    ssl_verify_client: 'optional',
    ...fields,
  })
  const config = (parts: GatewayConfig = {}): GatewayConfig => ({
    listeners: [{ listen: '127.0.0.1:0', servers: [server()] }],
    services: [{ name: 'api', url: backend.url, routes: [{ name: 'everything', paths: ['/'] }] }],
    proxy: {
      proxy_ssl_certificate: own.chain,
      proxy_ssl_certificate_key: own.key,
      proxy_ssl_trusted_certificate: inside.certificate,
    },
    admin: { listen: '127.0.0.1:0' },
    ...parts,
  })
  const start = (parts?: GatewayConfig, options?: Omit<GatewayOptions, 'config'>) =>
    startGateway({ config: config(parts), ...options })
  return { clients, servers, inside, ada: clients.client('ada'), own, front, backend, config, server, start }
}

/** One listener on a free port with these virtual servers. */
export function listenerOf(...servers: readonly object[]): { listeners: readonly object[] } {
  return { listeners: [{ listen: '127.0.0.1:0', servers }] }
}
