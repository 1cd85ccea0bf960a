/** The gateways that are compared: where each is found, and its configuration for the same job. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Gateway, type Launch, nodeVersion, type Site } from './gateway.ts'
import { runIfThere } from './processes.ts'
import { sallyport } from './sallyport-gateway.ts'
import { nginxConfig } from './upstream.ts'

const root = join(import.meta.dirname, '..')

const nginx: Gateway = {
  name: 'nginx',
  warmsUp: false,
  jobs: new Set(['bare', 'real']),
  async version() {
    const text = await runIfThere('nginx', ['-V'])
    const openssl = match(text, /running with (OpenSSL [\d.]+)/) ?? match(text, /built with (OpenSSL [\d.]+)/)
    return text && `${match(text, /nginx\/([\d.]+)/)}, ${openssl}`
  },
  configure({ home, port, upstreamPort, pki, job, crl }) {
    const config = join(home, 'nginx.conf')
    // Bodies are streamed here as in the others: nginx would otherwise write large ones to disk first.
    const http = `
  ${job === 'real' ? nginxLog(home) : ''}
  upstream api { server 127.0.0.1:${upstreamPort}; keepalive 64; keepalive_requests 1000000000; keepalive_time 10h; }
  server {
    listen 127.0.0.1:${port} ssl backlog=1024;
    ssl_certificate ${pki.server.certificate};
    ssl_certificate_key ${pki.server.key};
    ssl_client_certificate ${pki.ca};
    ssl_verify_client on;
    ${crl ? `ssl_crl ${crl};` : ''}
    ${job === 'real' ? REAL_LOCATIONS : ''}
    location / {
      proxy_pass https://api;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header VERIFIED $ssl_client_verify;
      proxy_set_header DN $ssl_client_s_dn;
      proxy_request_buffering off;
      proxy_max_temp_file_size 0;
      proxy_ssl_certificate ${pki.gateway.certificate};
      proxy_ssl_certificate_key ${pki.gateway.key};
      proxy_ssl_trusted_certificate ${pki.ca};
      proxy_ssl_protocols TLSv1.2 TLSv1.3;
      proxy_ssl_verify on;
      proxy_ssl_server_name on;
      proxy_ssl_name localhost;
    }
  }`
    writeFileSync(config, nginxConfig(home, http))
    return { command: 'nginx', args: ['-p', home, '-c', config] }
  },
}

/** Nine others beside the one that is asked for. */
const REAL_LOCATIONS = Array.from({ length: 9 }, (_, i) => `location /service-${i}/ { return 404; }`).join('\n    ')

/** What a line of Sallyport's holds, in JSON, buffered as nginx's guides advise. */
function nginxLog(home: string): string {
  const fields = {
    ...{ time: '$time_iso8601', request_id: '$request_id', connection: '$connection', remote_addr: '$remote_addr' },
    ...{ remote_port: '$remote_port', tls: '$ssl_protocol', cipher: '$ssl_cipher', resumed: '$ssl_session_reused' },
    ...{ server_name: '$ssl_server_name', verify: '$ssl_client_verify', subject: '$ssl_client_s_dn' },
    ...{ issuer: '$ssl_client_i_dn', serial: '$ssl_client_serial', fingerprint: '$ssl_client_fingerprint' },
    ...{ method: '$request_method', host: '$http_host', user_agent: '$http_user_agent', path: '$request_uri' },
    ...{ protocol: '$server_protocol', status: '$status', bytes_received: '$request_length' },
    ...{ bytes_sent: '$bytes_sent', duration: '$request_time', target: '$upstream_addr' },
    ...{ upstream_status: '$upstream_status', upstream_time: '$upstream_response_time' },
  }
  return `log_format line escape=json '${JSON.stringify(fields)}';
  access_log ${home}/access.log line buffer=64k flush=1s;`
}

const haproxy: Gateway = {
  name: 'haproxy',
  warmsUp: false,
  jobs: new Set(['bare']),
  async version() {
    const text = await runIfThere('haproxy', ['-vv'])
    return text && `${match(text, /version ([\d.]+)/)}, ${match(text, /Running on OpenSSL version : (OpenSSL [\d.]+)/)}`
  },
  configure({ home, port, upstreamPort, pki, crl }) {
    const config = join(home, 'haproxy.cfg')
    writeFileSync(
      config,
      `
global
  nbthread 1
  maxconn 4000
defaults
  mode http
  no log
  timeout connect 5s
  timeout client 75s
  timeout server 75s
  timeout http-keep-alive 75s
frontend in
  bind 127.0.0.1:${port} backlog 1024 ssl crt ${pki.server.both} ca-file ${pki.ca} ${crl ? `crl-file ${crl} ` : ''}verify required ssl-min-ver TLSv1.2
  http-request del-header VERIFIED
  http-request set-header VERIFIED SUCCESS if { ssl_c_verify 0 }
  http-request set-header DN %[ssl_c_s_dn]
  default_backend api
backend api
  http-reuse always
  server api 127.0.0.1:${upstreamPort} ssl crt ${pki.gateway.both} ca-file ${pki.ca} verify required verifyhost localhost sni str(localhost)
`,
    )
    return { command: 'haproxy', args: ['-f', config, '-db'] }
  },
}

const caddy: Gateway = {
  name: 'caddy',
  warmsUp: false,
  jobs: new Set(['bare']),
  async version() {
    const build = await runIfThere('caddy', ['build-info'])
    const version = await runIfThere('caddy', ['version'])
    return version && `${version.trim().split(' ')[0]}, crypto/tls of ${match(build, /^go\s+(\S+)/m)}`
  },
  configure({ home, port, upstreamPort, pki }) {
    const config = join(home, 'Caddyfile')
    writeFileSync(
      config,
      `
{
  admin off
  auto_https off
  log {
    level ERROR
  }
  servers {
    protocols h1
  }
}
https://localhost:${port} {
  bind 127.0.0.1
  tls ${pki.server.certificate} ${pki.server.key} {
    client_auth {
      mode require_and_verify
      trusted_ca_cert_file ${pki.ca}
    }
  }
  reverse_proxy https://127.0.0.1:${upstreamPort} {
    header_up VERIFIED SUCCESS
    header_up DN {http.request.tls.client.subject}
    transport http {
      tls_client_auth ${pki.gateway.certificate} ${pki.gateway.key}
      tls_trusted_ca_certs ${pki.ca}
      tls_server_name localhost
      keepalive 75s
      keepalive_idle_conns_per_host 64
      versions 1.1
      compression off
    }
  }
}
`,
    )
    const env = { GOMAXPROCS: '1', XDG_DATA_HOME: home, XDG_CONFIG_HOME: home }
    return { command: 'caddy', args: ['run', '--config', config, '--adapter', 'caddyfile'], env }
  },
}

const httpProxy: Gateway = {
  name: 'http-proxy',
  warmsUp: true,
  jobs: new Set(['bare']),
  async version() {
    const manifest = join(root, 'node_modules', 'http-proxy', 'package.json')
    return existsSync(manifest) ? nodeVersion(manifest) : undefined
  },
  configure({ port, upstreamPort, pki }) {
    const settings = {
      port,
      upstreamPort,
      ca: pki.ca,
      serverCertificate: pki.server.certificate,
      serverKey: pki.server.key,
      clientCertificate: pki.gateway.certificate,
      clientKey: pki.gateway.key,
    }
    const program = join(import.meta.dirname, 'http-proxy-gateway.js')
    return { command: process.execPath, args: ['--no-deprecation', program, JSON.stringify(settings)] }
  },
}

/** In the order of the table's columns; all ratios are to the first. */
export const gateways: readonly Gateway[] = [nginx, haproxy, caddy, httpProxy, sallyport]

/** Writes the gateway's configuration into a folder of its own below `folder`, and says where that is. */
export function configure(gateway: Gateway, folder: string, site: Omit<Site, 'home'>): Launch & { home: string } {
  const home = join(folder, `${gateway.name}-${site.job}`)
  mkdirSync(home, { recursive: true })
  return { ...gateway.configure({ ...site, home }), home }
}

function match(text: string | undefined, pattern: RegExp): string | undefined {
  return text && pattern.exec(text)?.[1]
}
