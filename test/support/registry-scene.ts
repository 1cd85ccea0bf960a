/** A registry behind the gateway, under a real name: in token mode it sends clients for tokens itself, in direct mode the gateway judges. */
import type { Exit } from './children.ts'
import { freePort } from './free-port.ts'
import { type Gateway, startGateway } from './gateway.ts'
import { type Authority, authority, type Issued } from './pki.ts'
import { certificateFolder, HOST, type Registry, skopeo, startRegistry } from './registry.ts'

export interface RegistrySceneOptions {
  readonly mode: 'tokens' | 'direct'
  /** In direct mode: a registry that asks nobody anything. */
  readonly open?: boolean
  /** Settings of the realm. */
  readonly realm: Readonly<Record<string, unknown>>
  /** Settings of the gate. */
  readonly gate?: Readonly<Record<string, unknown>>
  /** Top-level settings beside. */
  readonly config?: Readonly<Record<string, unknown>>
  /** Settings of the virtual server and of both services. */
  readonly server?: Readonly<Record<string, unknown>>
  readonly service?: Readonly<Record<string, unknown>>
}

export interface RegistryScene {
  readonly port: number
  readonly clients: Authority
  /** Whose certificate is the registry's `rootcertbundle`. */
  readonly signing: Authority
  readonly registry: Registry
  readonly gateway: Gateway
  /** As clients write it: `registry.test:PORT`. */
  readonly at: string
  /** Certificate folders, with a client certificate or without. */
  folder(client?: Issued): string
  /** The configuration with another realm, for a reload. */
  config(realm?: Readonly<Record<string, unknown>>): object
  copy(image: string, to: string, who?: Who): Promise<Exit>
  /** From one repository to another, by which layers are mounted. */
  move(from: string, to: string, who?: Who): Promise<Exit>
  inspect(repository: string, who?: Who): Promise<Exit>
  tags(repository: string, who?: Who): Promise<Exit>
  remove(repository: string, who?: Who): Promise<Exit>
  login(name: string, password: string, as?: Issued): Promise<Exit>
}

export interface Who {
  readonly as?: Issued
  /** `name:password` */
  readonly creds?: string
}

export async function makeRegistryScene(options: RegistrySceneOptions): Promise<RegistryScene> {
  const [servers, clients, signing] = [authority('servers'), authority('clients'), authority('signing')]
  const front = servers.server(HOST)
  const signer = signing.client('token signer')
  const port = await freePort()
  const at = `${HOST}:${port}`
  const token = {
    realm: `https://${at}/auth/realms/acme/protocol/docker-v2/auth`,
    service: 'registry.test',
    issuer: 'acme',
    bundle: signing.certificate,
  }
  const registry = await startRegistry(options.open ? {} : { token })
  const gate = { realm: 'acme', service: 'registry.test', token: !options.open, ...options.gate }
  const server = {
    server_names: [HOST],
    ssl_certificate: front.chain,
    ssl_certificate_key: front.key,
    ssl_client_certificate: clients.certificate,
    ssl_verify_client: 'optional',
    ...options.server,
  }
  const config = (realm = options.realm) => ({
    listeners: [{ listen: `127.0.0.1:${port}`, client_max_body_size: 0, servers: [server] }],
    certificates: [{ name: 'tokens', cert: signer.chain, key: signer.key }],
    registry_realms: [{ name: 'acme', services: ['registry.test'], certificate: 'tokens', ...realm }],
    services: [
      {
        name: 'tokens',
        builtin: 'registry-tokens',
        ...options.service,
        routes: [{ name: 'tokens', paths: ['/auth'] }],
      },
      {
        name: 'registry',
        url: registry.url,
        ...(options.mode === 'direct' && { registry: gate }),
        ...options.service,
        routes: [{ name: 'registry', paths: ['/v2'], strip_path: false, preserve_host: true }],
      },
    ],
    admin: { listen: '127.0.0.1:0' },
    ...options.config,
  })
  const gateway = await startGateway({ config: config() })
  const folder = (client?: Issued) => certificateFolder(servers, client)
  const flags = (prefix: string, { as, creds }: Who = {}) => [
    `--${prefix}cert-dir`,
    folder(as),
    ...(creds === undefined ? [`--${prefix}no-creds`] : [`--${prefix}creds`, creds]),
  ]
  return {
    ...{ port, clients, signing, registry, gateway, at, folder, config },
    copy: (image, to, who) => skopeo(['copy', ...flags('dest-', who), `dir:${image}`, `docker://${at}/${to}`]),
    move: (from, to, who) =>
      skopeo(['copy', ...flags('src-', who), ...flags('dest-', who), `docker://${at}/${from}`, `docker://${at}/${to}`]),
    inspect: (repository, who) => skopeo(['inspect', ...flags('', who), `docker://${at}/${repository}`]),
    tags: (repository, who) => skopeo(['list-tags', ...flags('', who), `docker://${at}/${repository}`]),
    login: (name, password, as) => skopeo(['login', '--cert-dir', folder(as), '-u', name, '-p', password, at]),
    remove: (repository, who) => skopeo(['delete', ...flags('', who), `docker://${at}/${repository}`]),
  }
}
