/** The parts of the configuration that the rest of the gateway uses. */
export type { AccessRuleConfig, AccessRulesConfig } from './access-rules.ts'
export { type ListenAddress, listenText } from './addresses.ts'
export type { AdminConfig } from './admin.ts'
export type { AuthConfig } from './auth.ts'
export type { MappedUserConfig, UserFromCertificate } from './authorization.ts'
export type { CaCertificateConfig, CertificateConfig } from './certificates.ts'
export type { Config } from './config.ts'
export type {
  BasicCredentialConfig,
  ConsumerConfig,
  KeyCredentialConfig,
  MtlsCredentialConfig,
  TotpCredentialConfig,
} from './consumers.ts'
export { CrlSource } from './crl.ts'
export type { CrlFetchConfig } from './crl-fetch.ts'
export { derivedId } from './derived-id.ts'
export type { DockerPluginsConfig } from './docker-plugins.ts'
export { withSecrets } from './environment.ts'
export type { IdentityApiConfig } from './identity-api.ts'
export { IDENTITY_FIELDS, type IdentityField } from './identity-fields.ts'
export { IDENTITY_PRESETS, type IdentityHeaders } from './identity-headers.ts'
export type { ReloadConfig, ShutdownConfig } from './lifecycle.ts'
export type { ListenerConfig } from './listeners.ts'
export { DEFAULT_FILE, fileOf, type LoadedConfig, type LoadOptions, loadConfig, loadConfigBeside } from './load.ts'
export type { LogConfig } from './log.ts'
export type { MethodPluginConfig } from './method-plugins.ts'
export { inNatsWords } from './nats-tls.ts'
export { PemSource } from './pem.ts'
export type { Place } from './place.ts'
export type { ProxyConfig } from './proxy.ts'
export type {
  RegistryCertificateField,
  RegistryRealmConfig,
  RegistryRobotConfig,
  WrittenRegistryRule,
} from './registry-realms.ts'
export type { RouteConfig } from './routes.ts'
export { Secret } from './secret.ts'
export type { ServerConfig } from './servers.ts'
export type { ServiceConfig } from './services.ts'
export { waitingForStart } from './start-only.ts'
export type { StoreConfig } from './store.ts'
export type { TokensConfig } from './tokens.ts'
export type { TargetConfig, UpstreamConfig } from './upstreams.ts'
