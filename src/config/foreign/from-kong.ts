/** Settings of Kong that are not read here, and what to write instead: for messages, and for docs/migration.md. */
import type { Remedies } from './from-nginx.ts'

/** Taken as plain text, it would be a password or a key that anybody can read. */
export const VAULT_REFERENCE = /^\{vault:\/\//
// biome-ignore lint/suspicious/noTemplateCurlyInString: it is what the user shall write.
export const NO_VAULT = 'vaults are not asked; write ${NAME} for a variable of the environment'

const WEIGHTS = 'remove it: targets take turns by weight, and an attempt that fails goes on to the next'
const NO_METHOD = 'remove it: there is no such method; rules may name others, or a plugin of yours (docs/plugins.md)'
const NO_RATE = 'leave it to the API: requests are not limited by rate; listeners limit new connections'
const LOGGED = 'remove it: each request is one line of JSON on standard output (docs/operations.md)'
const UNCHANGED = 'leave it to the API: requests and answers pass as they are'
const OF_DECK = "remove it: it is a note of decK's"

export const KONG_WORDS: Remedies = [
  [
    'healthchecks use_srv_name hash_on_header hash_on_cookie hash_on_query_arg hash_on_uri_capture hash_fallback_header hash_fallback_query_arg hash_fallback_uri_capture',
    WEIGHTS,
  ],
  ['sources destinations', 'remove it: it is for TCP; allow and deny have addresses'],
  ['expression priority', 'write hosts, paths, methods and headers: expressions are not read'],
  ['tls_sans', "write proxy_ssl_name, the name that the API's certificate must hold"],
  ['consumers', 'of a consumer group: write groups, a list of names, at each of these consumers'],
  ['vaults', `remove it: ${NO_VAULT}`],
  ['keys key_sets jwt_secrets', 'write auth.jwt_issuers, with the keys as a file or the jwks_uri'],
  ['hmacauth_credentials oauth2_credentials', NO_METHOD],
  ['ttl', 'remove it: keys have no end; application_credentials may have one (expires_at)'],
  ['filter_chains', 'write a plugin (docs/plugins.md): authorization_plugins'],
  ['_workspace _konnect', OF_DECK],
  ['_info', `${OF_DECK}; where it has defaults, write them into the services, routes and upstreams`],
  ['_plugin_configs', 'remove it: plugins are not read'],
  ['declarative_config declarative_config_string database', 'name the file by -c or SALLYPORT_CONFIG'],
  ['proxy_listen', 'write listen in listeners (SALLYPORT_LISTEN)'],
  ['admin_listen status_listen', 'write listen in admin (SALLYPORT_ADMIN_LISTEN)'],
  [
    'ssl_cert ssl_cert_key',
    'write ssl_certificate and ssl_certificate_key at a server of listeners (SALLYPORT_SSL_CERTIFICATE, SALLYPORT_SSL_CERTIFICATE_KEY)',
  ],
  [
    'client_ssl',
    'remove it: a certificate is presented wherever proxy_ssl_certificate is set in proxy (KONG_CLIENT_SSL_CERT)',
  ],
  [
    'client_ssl_cert client_ssl_cert_key',
    'write proxy_ssl_certificate and proxy_ssl_certificate_key in proxy (KONG_CLIENT_SSL_CERT, KONG_CLIENT_SSL_CERT_KEY)',
  ],
  [
    'lua_ssl_trusted_certificate lua_ssl_verify_depth',
    'write proxy_ssl_trusted_certificate and proxy_ssl_verify_depth in proxy (SALLYPORT_PROXY_SSL_TRUSTED_CERTIFICATE)',
  ],
  ['nginx_worker_processes', 'write workers at the top level (SALLYPORT_WORKERS)'],
  ['log_level', 'write level in log (SALLYPORT_LOG_LEVEL)'],
  [
    'proxy_access_log admin_access_log status_access_log',
    'write access_log: on or off in log (SALLYPORT_ACCESS_LOG); lines go to standard output',
  ],
  [
    'proxy_error_log admin_error_log status_error_log',
    'write level in log (SALLYPORT_LOG_LEVEL); lines go to standard output',
  ],
  ['ssl_cipher_suite', 'write ssl_ciphers at the server (SALLYPORT_SSL_CIPHERS)'],
  [
    'ssl_session_cache_size',
    'remove it: sessions are kept in tickets; see ssl_session_tickets and ssl_session_timeout',
  ],
  [
    'admin_ssl_cert admin_ssl_cert_key status_ssl_cert status_ssl_cert_key',
    'remove it: the admin listener speaks plain HTTP; keep it on loopback or on a network of your own',
  ],
  ['stream_listen', 'leave it to another server: only HTTP is forwarded'],
  ['dns_stale_ttl', 'write dns_stale_ttl in proxy'],
  ['dns_* resolver_*', 'remove it: names are looked up as the system does'],
  ['rbac_roles rbac_users workspaces licenses', 'remove it: there is no API for administrators'],
]

export const KONG_PLUGINS: Remedies = [
  [
    'mtls-auth',
    'write rules: [[certificate]] at the service or route, and ssl_verify_client, ssl_client_certificate and revocation_check_mode at the server',
  ],
  [
    'header-cert-auth',
    'write certificate_header_format and certificate_header_name at the server, trusted_ips, and rules: [[certificate]]',
  ],
  ['tls-handshake-modifier', 'write ssl_verify_client: optional at the server'],
  ['tls-metadata-headers', 'write identity_presets: [kong]'],
  ['key-auth key-auth-enc', 'write rules: [[api-key]] at the service or route; key_names is in auth.api-key'],
  ['basic-auth', 'write rules: [[password]] at the service or route'],
  ['jwt openid-connect', 'write rules: [[token]] at the service or route, and auth.jwt_issuers'],
  ['acl', 'write allow: [{ groups: [name] }] or deny at the service or route'],
  ['ip-restriction', 'write allow: [{ addresses: [10.0.0.0/8] }] or deny at the service or route'],
  ['request-size-limiting', 'write client_max_body_size at the listener'],
  ['correlation-id', 'remove it: X-Request-ID is always there'],
  ['prometheus', 'remove it: admin.listen has /metrics'],
  [
    'cors',
    'leave it to the API; where rules ask who is calling, write a route with methods: [OPTIONS] and anonymous: on',
  ],
  ['rate-limiting rate-limiting-advanced response-ratelimiting', NO_RATE],
  ['request-transformer request-transformer-advanced response-transformer response-transformer-advanced', UNCHANGED],
  ['file-log http-log tcp-log udp-log syslog loggly kafka-log datadog statsd zipkin opentelemetry', LOGGED],
  ['hmac-auth oauth2 oauth2-introspection ldap-auth ldap-auth-advanced session vault-auth', NO_METHOD],
  ['proxy-cache proxy-cache-advanced', 'remove it: nothing is cached'],
  ['acme', 'write ssl_certificate at the server: files that another program renews are taken as they change'],
  ['request-termination', 'write deny: [{}] at the service or route: everybody is refused with 403'],
  ['upstream-timeout', 'write connect_timeout, write_timeout and read_timeout at a service of its own'],
  ['route-by-header', 'write a route with headers at each service'],
  ['canary', 'write upstreams with targets, each with a weight'],
  ['request-validator oas-validation json-threat-protection xml-threat-protection redirect', 'leave it to the API'],
  ['pre-function post-function opa bot-detection', 'write a plugin (docs/plugins.md): authorization_plugins'],
]

/** The message for a plugin without a row of its own. */
export const OTHER_PLUGIN = 'remove it: there is nothing like it; one of yours may do it (docs/plugins.md)'
