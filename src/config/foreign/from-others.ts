/** HAProxy, Traefik and Envoy, whose words are not read, and keystone.conf: for docs/migration.md, and to tell such a file by name. */

/** By the words that such a file begins with: who has them. */
const OWNERS: Readonly<Record<string, string>> = {
  entryPoints: 'Traefik',
  providers: 'Traefik',
  static_resources: 'Envoy',
  dynamic_resources: 'Envoy',
}

/** What is said of a word at the top level of another gateway's YAML. */
export function remedyOfOthers(word: string): string | undefined {
  const owner = Object.hasOwn(OWNERS, word) ? OWNERS[word] : undefined
  return owner && `is ${owner}'s; docs/migration.md says what is called how here`
}

export const FILE_OF_HAPROXY = "is a file of HAProxy's; write YAML: docs/migration.md says what is called how here"

/** Whether a file that is no YAML looks like HAProxy's: its sections begin lines, without colons. */
export function isOfHaproxy(bytes: Uint8Array): boolean {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
  return /^(global|defaults|(frontend|backend|listen) [\w.:-]+)[ \t]*(\r?\n|#)/m.test(text)
}

/** The same thing in the words of each; a dash where there is no such thing. */
export const OTHER_GATEWAYS: readonly (readonly [haproxy: string, traefik: string, envoy: string, here: string])[] = [
  [
    '`bind :443 ssl crt FILE`',
    '`entryPoints.….address`, `tls.certificates`',
    '`DownstreamTlsContext` with `tls_certificates`',
    '`listen`, and `ssl_certificate` and `ssl_certificate_key` at a server; both may name one file',
  ],
  [
    '`verify required ca-file FILE`',
    '`clientAuth` with `caFiles`, `RequireAndVerifyClientCert`',
    '`require_client_certificate: true`, `trusted_ca`',
    '`ssl_client_certificate` and `ssl_verify_client: on`',
  ],
  ['`verify optional`', '`VerifyClientCertIfGiven`', '`trusted_ca` without it', '`ssl_verify_client: optional`'],
  [
    '`ca-ignore-err all`, `crt-ignore-err all`',
    '`RequestClientCert`',
    '`ACCEPT_UNTRUSTED`',
    '`ssl_verify_client: optional_no_ca`',
  ],
  ['`crl-file`', '–', '`crl`', '`ssl_crl`'],
  ['–', '–', '`verify_certificate_spki` (base64)', '`pinned_certs` (hexadecimal)'],
  [
    '`http-request deny` by `ssl_c_s_dn`',
    '–',
    '`match_typed_subject_alt_names`',
    '`ssl_verify_allow` at a server or route, `allow` at a service or route',
  ],
  [
    '`http-request set-header X-SSL-Client-DN %[ssl_c_s_dn]`',
    '`passTLSClientCert`',
    '`forward_client_cert_details`',
    '`identity_presets: [haproxy]`, `[traefik]`, `[envoy]`; or names of your own in `identity_headers`',
  ],
  [
    '`use_backend` with `hdr(host)`, `path_beg`',
    '`rule` with `Host`, `PathPrefix`',
    '`domains`, `match` with `prefix`',
    '`hosts` and `paths` of routes',
  ],
  ['`replace-path`', '`stripPrefix`', '`prefix_rewrite`', '`strip_path: true`, and a path in the `url` of the service'],
  [
    '`backend` with `server` lines',
    '`loadBalancer.servers`',
    '`clusters`',
    '`url` of a service, or `upstreams` with `targets`',
  ],
  [
    '`server … ssl crt FILE`',
    '`serversTransports` with `certificates`',
    '`UpstreamTlsContext` with `tls_certificates`',
    '`proxy_ssl_certificate` and `proxy_ssl_certificate_key` in `proxy`; of one service `client_certificate`',
  ],
  [
    '`ca-file FILE verify required`, `verifyhost`',
    '`rootCAs`, `serverName`',
    '`trusted_ca`, `sni`',
    '`proxy_ssl_trusted_certificate` in `proxy`, of one service `ca_certificates`; `proxy_ssl_name`',
  ],
  ['`verify none`', '`insecureSkipVerify`', 'no `trusted_ca`', '`unsafe_skip_verify: true` at the service'],
  ['`accept-proxy`', '`proxyProtocol.trustedIPs`', '`proxy_protocol` filter', '`proxy_protocol_from` at the listener'],
  [
    '`option forwardfor`',
    '`forwardedHeaders.trustedIPs`',
    '`xff_num_trusted_hops`',
    '`trusted_ips`; the headers are always sent',
  ],
  ['`deny unless { src … }`', '`ipAllowList`', '`rbac` filter', '`allow: [{ addresses: […] }]`'],
  ['`userlist`, `http-request auth`', '`basicAuth`', '–', '`rules: [[password]]`'],
  ['–', '`forwardAuth`', '`ext_authz` filter', 'a plugin ([plugins.md](plugins.md)): `authorization_plugins`'],
  ['–', '–', '`jwt_authn` filter', '`rules: [[token]]` and `auth.jwt_issuers`'],
  [
    '`timeout connect`, `timeout server`',
    '`dialTimeout`, `responseHeaderTimeout`',
    '`connect_timeout`, `timeout`',
    '`connect_timeout`, `read_timeout`, `write_timeout` at the service, in milliseconds',
  ],
  [
    '`option httpchk`, `check`',
    '`healthCheck`',
    '`health_checks`',
    'nothing: an attempt that fails goes on to the next target',
  ],
  ['`stick-table`', '`rateLimit`', '`local_ratelimit` filter', 'nothing: leave it to the API'],
  ['`prometheus-exporter`', '`metrics.prometheus`', '`admin`', '`admin.listen`'],
]

export const KEYSTONE_OPTIONS: readonly (readonly [option: string, here: string])[] = [
  ['`[auth] methods`', '`auth.methods`; each of your own stands in `method_plugins`'],
  ['`[tokenless_auth] trusted_issuer`', '`identity_api.trusted_issuers`'],
  ['`[token] expiration`, `allow_expired_window`', '`tokens.expiration`, `tokens.allow_expired_window`'],
  ['`[fernet_tokens] key_repository`', '`tokens.secret`, the same for all gateways, and `tokens.rotation`'],
  ['`[receipt] expiration`', '`auth.receipt_ttl`'],
  ['`[totp] included_previous_windows`', '`auth.totp.included_previous_windows`'],
  [
    '`[security_compliance] lockout_failure_attempts`, `lockout_duration`',
    '`auth.lockout.attempts`, `auth.lockout.backoff` and `max_backoff`: the wait doubles',
  ],
  ['users, projects and roles of the database', '`consumers`, and `projects` and `role_assignments` in `identity_api`'],
]
