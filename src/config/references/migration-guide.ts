/** docs/migration.md: what to write here for the words of other systems. The tables of nginx, Kong and NATS are those that messages are made of. */
import { KONG_PLUGINS, KONG_WORDS } from '../foreign/from-kong.ts'
import { NATS_AUTHORIZATION_WORDS, NATS_WORDS } from '../foreign/from-nats.ts'
import { NGINX_WORDS, type Remedies } from '../foreign/from-nginx.ts'
import { KEYSTONE_OPTIONS, OTHER_GATEWAYS } from '../foreign/from-others.ts'

const INTRODUCTION = `# Coming from nginx, Kong, NATS and others

Generated from \`src/config\` by \`npm run docs\`. Write down what you have in the words that you know, and let \`sallyport check -c FILE\` say what is called otherwise here: it tells
every word of the tables for [nginx](#from-nginx), [Kong](#from-kong) and [NATS](#from-nats) by name, with its line and what to write in its place. [HAProxy, Traefik and Envoy](#from-haproxy-traefik-or-envoy),
[Docker and Keystone](#from-docker-or-keystone) come last.

## From nginx

TLS keeps nginx's words and meanings; routing is Kong's: a \`location\` is a route, its \`proxy_pass\` a service. This server

\`\`\`nginx
server {
  listen 443 ssl;
  listen [::]:443 ssl;
  server_name api.example.com;
  ssl_certificate server.crt;
  ssl_certificate_key server.key;
  ssl_client_certificate ca.crt;
  ssl_crl ca.crl;
  ssl_verify_client optional;
  ssl_verify_depth 2;
  client_max_body_size 1k;

  location / {
    proxy_pass https://localhost:9443;
    proxy_ssl_certificate gateway.crt;
    proxy_ssl_certificate_key gateway.key;
    proxy_ssl_trusted_certificate ca.crt;
    proxy_ssl_verify on;
    proxy_read_timeout 30s;
    proxy_set_header VERIFIED $ssl_client_verify;
    proxy_set_header DN $ssl_client_s_dn;

    location /admin {
      if ($ssl_client_verify != SUCCESS) { return 403; }
      proxy_pass https://localhost:9443;
    }
    location /reports {
      if ($ssl_client_s_dn != "CN=ada") { return 403; }
      proxy_pass https://localhost:9443;
    }
  }
}
server {
  listen 443 ssl;
  listen [::]:443 ssl;
  server_name partners.example.com;
  ssl_certificate server.crt;
  ssl_certificate_key server.key;
  ssl_client_certificate partners.crt;
  ssl_verify_client on;

  location / {
    proxy_pass https://localhost:9443;
    proxy_ssl_certificate gateway.crt;
    proxy_ssl_certificate_key gateway.key;
    proxy_ssl_trusted_certificate ca.crt;
    proxy_ssl_verify on;
    proxy_set_header VERIFIED $ssl_client_verify;
    proxy_set_header DN $ssl_client_s_dn;
  }
}
\`\`\`

is this file:

\`\`\`yaml
listeners:
  - listen: "[::]:443" # IPv4 too
    client_max_body_size: 1k
    servers:
      - server_names: [api.example.com]
        ssl_certificate: server.crt
        ssl_certificate_key: server.key
        ssl_client_certificate: ca.crt
        ssl_crl: ca.crl
        ssl_verify_client: optional
        ssl_verify_depth: 2
      - server_names: [partners.example.com]
        ssl_certificate: server.crt
        ssl_certificate_key: server.key
        ssl_client_certificate: partners.crt
        ssl_verify_client: on
proxy:
  proxy_ssl_certificate: gateway.crt
  proxy_ssl_certificate_key: gateway.key
  proxy_ssl_trusted_certificate: ca.crt
services:
  - name: api
    url: https://localhost:9443
    read_timeout: 30000
    routes:
      - { name: everything, paths: [/], strip_path: false }
      - { name: admin, hosts: [api.example.com], paths: [/admin], strip_path: false, ssl_verify_client: on }
      - name: reports
        hosts: [api.example.com]
        paths: [/reports]
        strip_path: false
        allow: [{ certificate: [{ subject: { CN: ada } }] }]
\`\`\`

What is not the same with the same words:

- The certificates of APIs are verified unless a setting that begins with \`unsafe_\` says otherwise; in nginx \`proxy_ssl_verify\` is off.
- \`proxy_ssl_crl\` is looked at for each connection to an API, resumed sessions too; nginx looks at it in full handshakes only, and \`location\`s share the sessions of one upstream, also with another list or none.
- \`client_max_body_size\` has no limit where nothing is written; in nginx it is \`1m\`.
- \`strip_path\` is on, as in Kong: \`strip_path: false\` is nginx's \`proxy_pass\` without a path.
- \`location /api/\` of nginx answers \`/api\` with 301 to \`/api/\`; a route with \`paths: [/api/]\` does not take it.
- \`preserve_host: true\` is \`proxy_set_header Host $http_host\`, with the port; \`$host\` has none.
- A \`~\` path is anchored at its start. nginx's \`location ~ \\.php$\` is \`~/.*\\.php$\`, and \`location ~* \\.php$\` is \`~/.*\\.(?i:php)$\`.
- Paths reach the API as they are matched: \`//\` is one slash, \`%61\` is \`a\`. Those with dot segments, or an encoded slash, are refused with 400.
- An attempt that timed out is repeated as one that failed, up to \`retries\` times (5, as in Kong), where that does no harm: each has a \`read_timeout\` of its own. nginx asks each server of an upstream once.
- \`server_names\` are names, without expressions; nginx's \`.example.com\` is \`[example.com, "*.example.com"]\`.
- \`default_server\` chooses certificate and trust for names that no server has. A route with \`hosts\` answers for no other name: leave \`hosts\` out where it shall.
- A route with \`ssl_verify_client: on\` answers without a certificate what a server with it does, 400. \`allow\` answers 403.
- Kong's timeouts (\`connect_timeout\`, \`read_timeout\`, \`write_timeout\`) are milliseconds.
- Names of users that \`map $ssl_client_s_dn\` gave are [users](users.md) here.
`

const KONG = `## From Kong

Services, routes, upstreams, targets, certificates, SNIs, CA certificates, consumers, groups and their credentials are read as Kong's \`kong.yml\` has them
([conf/examples/kong.yaml](../conf/examples/kong.yaml)); [configuration.md](configuration.md#where-this-differs-from-kong) says what differs. Plugins are not read, since what they do about callers are settings of services and routes here.
Listeners, which Kong has in \`kong.conf\`, are added to the file, as what else stands there. Of Kong's variables only \`KONG_CLIENT_SSL_CERT\` and \`KONG_CLIENT_SSL_CERT_KEY\` are read; a start warns of
the others by name, as \`KONG_PROXY_LISTEN\`, with what to write here, and so does \`sallyport check\`.

What a dump of decK's holds at Kong's defaults stays as it is: \`healthchecks\` that check nothing, \`use_srv_name: false\`, \`_info\` without \`defaults\`, \`_workspace\`, words without a value (\`ttl: null\`, \`vaults: []\`), and
plugins that are there with \`enabled: false\`. With another value each is refused, with its line and its remedy, since it would change what happens in Kong and nothing here.
Passwords of \`basicauth_credentials\` are Kong's own hashes in what Kong and decK export: hash them anew by \`sallyport hash\`, since nobody checks SHA-1 here.
`

const NATS = `## From NATS

What a nats.conf says of TLS and of users,

\`\`\`
listen: "0.0.0.0:8443"
tls {
  cert_file: "server.crt"
  key_file: "server.key"
  ca_file: "ca.crt"
  verify_and_map: true
  timeout: 2
}
authorization {
  users = [
    { user: "CN=ada", permissions: { publish: ">" } }
    { user: "bob@example.com", permissions: { subscribe: "reports.>" } }
  ]
}
\`\`\`

is this file; permissions, which are about subjects, are \`allow\` and \`deny\` of routes here:

\`\`\`yaml
listeners:
  - listen: 0.0.0.0:8443
    tls: # NATS's words; servers[] has nginx's
      cert_file: server.crt
      key_file: server.key
      ca_file: ca.crt
      verify_and_map: true
      timeout: 2
    servers:
      - authorization:
          users: [{ user: "CN=ada" }, { user: "bob@example.com" }]
services:
  - name: api
    url: http://127.0.0.1:3000
    routes:
      - { name: everything, paths: [/], strip_path: false, allow: [{ users: ["CN=ada"] }] }
      - { name: reports, paths: [/reports], strip_path: false, allow: [{ users: ["CN=ada", "bob@example.com"], methods: [GET] }] }
\`\`\`

Users are found in NATS's order ([users.md](users.md#as-nats-does)).
`

const OTHERS = `
## From HAProxy, Traefik or Envoy

All three end the handshake of whom they do not let in, which here takes \`ssl_verify_failure: reject\`; without it the answer is 400. They keep the path and the client's Host: write \`strip_path: false\` and
\`preserve_host: true\` at routes.

| HAProxy | Traefik | Envoy | here |
| --- | --- | --- | --- |`

const DOCKER_AND_KEYSTONE = `
## From Docker or Keystone

The flags \`--tlsverify\`, \`--tlscacert\`, \`--tlscert\` and \`--tlskey\` of dockerd are NATS's, and \`run\` takes them. Its \`--authorization-plugin\` is \`authorization_plugins\` at a service or route,
\`--authn-opt certmap=\` is \`certmap\` at a server ([plugins.md](plugins.md)). What stands under \`auth: token:\` in a registry's configuration is printed by \`sallyport registry-config\`, and
docker_auth's \`acl\` is read as it is by \`acl_file\` ([registry.md](registry.md)).

| keystone.conf | here |
| --- | --- |`

export function migrationMarkdown(): string {
  const lines = [INTRODUCTION]
  for (const [title, remedies] of Object.entries(NGINX_WORDS))
    lines.push(`### ${title}`, '', ...table('nginx', remedies), '')
  lines.push(KONG, ...table('plugin', KONG_PLUGINS), '', ...table('in kong.yml or kong.conf', KONG_WORDS), '')
  lines.push(NATS, ...table('nats.conf', NATS_WORDS), '', ...table('in authorization', NATS_AUTHORIZATION_WORDS))
  lines.push(OTHERS, ...OTHER_GATEWAYS.map(row), DOCKER_AND_KEYSTONE, ...KEYSTONE_OPTIONS.map(row))
  return `${lines.join('\n')}\n`
}

function row(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`
}

function table(title: string, remedies: Remedies): string[] {
  const rows = remedies.map(([words, remedy]) => {
    const names = words.split(' ').map((word) => `\`${word}\``)
    return `| ${names.join(', ')} | ${remedy.replaceAll('|', '\\|')} |`
  })
  return [`| ${title} | here |`, '| --- | --- |', ...rows]
}
