/** The whole configuration: what may be written, and what it becomes. */
import * as z from 'zod'
import { networkOrUnix } from './addresses.ts'
import { type AdminConfig, admin } from './admin.ts'
import { type AuthConfig, auth } from './auth.ts'
import { type CaCertificateConfig, type CertificateConfig, caCertificate, certificate, sni } from './certificates.ts'
import {
  acl,
  applicationCredential,
  basicauthCredential,
  type ConsumerConfig,
  consumer,
  consumerGroup,
  consumerGroupConsumer,
  keyauthCredential,
  mtlsAuthCredential,
  totpCredential,
} from './consumers.ts'
import { type CrlFetchConfig, crlFetch } from './crl-fetch.ts'
import { type DockerPluginsConfig, dockerPlugins } from './docker-plugins.ts'
import { anything, block, field, list } from './field.ts'
import { type IdentityApiConfig, identityApi } from './identity-api.ts'
import { identitySettings } from './identity-headers.ts'
import { type ReloadConfig, reload, type ShutdownConfig, shutdown } from './lifecycle.ts'
import { type ListenerConfig, listener } from './listeners.ts'
import { type LogConfig, log } from './log.ts'
import { type MethodPluginConfig, methodPlugin } from './method-plugins.ts'
import { type ProxyConfig, proxy } from './proxy.ts'
import { type RegistryRealmConfig, registryRealm } from './registry-realms.ts'
import { type RouteConfig, route } from './routes.ts'
import { choice, onOff } from './scalars.ts'
import { type ServiceConfig, service } from './services.ts'
import { type StoreConfig, store } from './store.ts'
import { type TokensConfig, tokens } from './tokens.ts'
import { target, type UpstreamConfig, upstream } from './upstreams.ts'
import { workerCount } from './worker-count.ts'

export const schema = block('The configuration of Sallyport.', {
  _format_version: field(choice('3.0', '2.1', '1.1'), {
    default: '3.0',
    about: "The version of Kong's declarative format.",
  }),
  _transform: field(onOff, {
    about: "off, as in what Kong exports: passwords are Kong's own hashes, which are refused here.",
  }),
  _comment: field(anything, { about: 'A remark.' }),
  _ignore: field(anything, { about: 'Anything; not read.' }),
  workers: field(workerCount, {
    default: 1,
    env: 'SALLYPORT_WORKERS',
    about: 'How many processes serve; auto: one for each core. A change takes effect at the next start.',
  }),
  listeners: z.array(listener).prefault([{}]).describe('The addresses to listen on.'),
  ...identitySettings,
  trusted_ips: list(networkOrUnix, {
    default: [],
    env: 'SALLYPORT_TRUSTED_IPS',
    about:
      'The proxies in front of us whose X-Forwarded-* headers are believed, as addresses and networks; "unix:", in quotes, for those that come over a Unix socket.',
  }),
  forwarded: field(onOff, {
    default: 'off',
    env: 'SALLYPORT_FORWARDED',
    about: 'Whether the backend also gets Forwarded (RFC 7239) besides X-Forwarded-*.',
  }),
  via: field(onOff, {
    default: 'on',
    env: 'SALLYPORT_VIA',
    about: 'Whether Via names the gateway ("1.1 sallyport") on the way in and out.',
  }),
  proxy: proxy.prefault({}),
  services: z.array(service).prefault([]).describe('The APIs behind the gateway.'),
  routes: z.array(route).prefault([]).describe('Routes that do not stand under their service.'),
  upstreams: z.array(upstream).prefault([]).describe('Services with several addresses.'),
  targets: z.array(target).prefault([]).describe('Targets that do not stand under their upstream.'),
  certificates: z.array(certificate).prefault([]).describe('Certificates with their keys.'),
  snis: z.array(sni).prefault([]).describe('Server names that do not stand under their certificate.'),
  ca_certificates: z.array(caCertificate).prefault([]).describe('Authorities for upstreams.'),
  consumers: z.array(consumer).prefault([]).describe('The users.'),
  consumer_groups: z.array(consumerGroup).prefault([]).describe('Groups of users.'),
  consumer_group_consumers: z.array(consumerGroupConsumer).prefault([]).describe('Who belongs to which group.'),
  acls: z.array(acl).prefault([]).describe('Groups that do not stand under their consumer.'),
  mtls_auth_credentials: z
    .array(mtlsAuthCredential)
    .prefault([])
    .describe('Certificates that do not stand under their consumer.'),
  basicauth_credentials: z
    .array(basicauthCredential)
    .prefault([])
    .describe('Names and passwords that do not stand under their consumer.'),
  keyauth_credentials: z.array(keyauthCredential).prefault([]).describe('Keys that do not stand under their consumer.'),
  totp_credentials: z
    .array(totpCredential)
    .prefault([])
    .describe('One-time password generators that do not stand under their consumer.'),
  application_credentials: z
    .array(applicationCredential)
    .prefault([])
    .describe('Credentials for programs that do not stand under their consumer.'),
  registry_realms: z.array(registryRealm).prefault([]).describe('Realms for Docker registries.'),
  auth: auth.prefault({}),
  method_plugins: z.array(methodPlugin).prefault([]).describe('Authentication methods of others.'),
  crl_fetch: crlFetch.prefault({}),
  store: store.prefault({}),
  tokens: tokens.prefault({}),
  identity_api: identityApi.prefault({}),
  docker_plugins: dockerPlugins.prefault({}),
  admin: admin.prefault({}),
  log: log.prefault({}),
  shutdown: shutdown.prefault({}),
  reload: reload.prefault({}),
})

/** What the file and the environment say, parsed and with defaults, before references are resolved. */
export type Written = z.output<typeof schema>

/**
 * A consistent configuration: defaults are filled in, names resolved, PEM read, disabled entities gone. Durations are in milliseconds, sizes in
 * bytes. Settings keep their names from the file.
 */
export interface Config {
  /** Not empty. */
  readonly listeners: readonly ListenerConfig[]
  /** At least 1. */
  readonly workers: number
  readonly services: readonly ServiceConfig[]
  readonly routes: readonly RouteConfig[]
  readonly upstreams: readonly UpstreamConfig[]
  readonly certificates: readonly CertificateConfig[]
  readonly ca_certificates: readonly CaCertificateConfig[]
  /** The users who are enabled. */
  readonly consumers: readonly ConsumerConfig[]
  /** The disabled users: nothing lets them in, even where a certificate, a plugin or another issuer names them. */
  readonly disabled_consumers: readonly Pick<ConsumerConfig, 'id' | 'name'>[]
  readonly identity_headers: Written['identity_headers']
  readonly identity_presets: Written['identity_presets']
  readonly identity_headers_max_size: number
  readonly forward_client_cert_details: Written['forward_client_cert_details']
  readonly set_current_client_cert_details: Written['set_current_client_cert_details']
  /** Networks as `address/length`. */
  readonly trusted_ips: readonly string[]
  readonly forwarded: boolean
  readonly via: boolean
  readonly proxy: ProxyConfig
  readonly registry_realms: readonly RegistryRealmConfig[]
  readonly auth: AuthConfig
  readonly method_plugins: readonly MethodPluginConfig[]
  readonly crl_fetch: CrlFetchConfig
  readonly store: StoreConfig
  readonly tokens: TokensConfig
  readonly identity_api: IdentityApiConfig
  readonly docker_plugins: DockerPluginsConfig
  readonly admin: AdminConfig
  readonly log: LogConfig
  readonly shutdown: ShutdownConfig
  readonly reload: ReloadConfig
}
