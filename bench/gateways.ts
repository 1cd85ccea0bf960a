/** The gateways that are compared: where each is found, and its configuration for the same job. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Pki } from './pki.ts'
import { runIfThere } from './processes.ts'
import { nginxConfig } from './upstream.ts'

/** What one gateway is to do, and where. */
export interface Site {
  /** Its own folder, for configuration and output. */
  readonly home: string
  readonly port: number
  /** For gateways that tell their readiness on another port. */
  readonly adminPort: number
  readonly upstreamPort: number
  readonly pki: Pki
}

export interface Launch {
  readonly command: string
  readonly args: readonly string[]
  readonly env?: NodeJS.ProcessEnv
  /** A plain HTTP address that answers 200 once the gateway calls itself ready. */
  readonly readyUrl?: string
}

/**
 * Every gateway does the same work and no more: demands a client certificate, verifies the upstream, shows its own
 * certificate to it, sets VERIFIED and DN, keeps connections alive on both sides; one worker, no access log.
 */
export interface Gateway {
  readonly name: string
  /** Version and TLS library, or undefined where it is not installed. */
  version(): Promise<string | undefined>
  configure(site: Site): Launch
}

const root = join(import.meta.dirname, '..')

const nginx: Gateway = {
  name: 'nginx',
  async version() {
    const text = await runIfThere('nginx', ['-V'])
    const openssl = match(text, /running with (OpenSSL [\d.]+)/) ?? match(text, /built with (OpenSSL [\d.]+)/)
    return text && `${match(text, /nginx\/([\d.]+)/)}, ${openssl}`
  },
  configure({ home, port, upstreamPort, pki }) {
    const config = join(home, 'nginx.conf')
    // Bodies are streamed here as in the others: nginx would otherwise write large ones to disk first.
    const http = `
  upstream api { server 127.0.0.1:${upstreamPort}; keepalive 64; keepalive_requests 1000000000; keepalive_time 10h; }
  server {
    listen 127.0.0.1:${port} ssl backlog=1024;
    ssl_certificate ${pki.server.certificate};
    ssl_certificate_key ${pki.server.key};
    ssl_client_certificate ${pki.ca};
    ssl_verify_client on;
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

const haproxy: Gateway = {
  name: 'haproxy',
  async version() {
    const text = await runIfThere('haproxy', ['-vv'])
    return text && `${match(text, /version ([\d.]+)/)}, ${match(text, /Running on OpenSSL version : (OpenSSL [\d.]+)/)}`
  },
  configure({ home, port, upstreamPort, pki }) {
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
  bind 127.0.0.1:${port} backlog 1024 ssl crt ${pki.server.both} ca-file ${pki.ca} verify required ssl-min-ver TLSv1.2
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

const sallyport: Gateway = {
  name: 'sallyport',
  async version() {
    return existsSync(join(root, 'bin', 'sallyport.js')) ? nodeVersion(join(root, 'package.json')) : undefined
  },
  configure({ home, port, adminPort, upstreamPort, pki }) {
    const config = join(home, 'sallyport.yaml')
    writeFileSync(
      config,
      `
_format_version: "3.0"
listeners:
  - listen: 127.0.0.1:${port}
    keepalive_requests: 1000000000
    servers:
      - server_names: [localhost]
        ssl_certificate: ${pki.server.certificate}
        ssl_certificate_key: ${pki.server.key}
        ssl_client_certificate: ${pki.ca}
        ssl_verify_client: "on"
services:
  - name: api
    url: https://127.0.0.1:${upstreamPort}
    routes:
      - name: everything
        paths: [/]
proxy:
  proxy_ssl_certificate: ${pki.gateway.certificate}
  proxy_ssl_certificate_key: ${pki.gateway.key}
  proxy_ssl_trusted_certificate: ${pki.ca}
  proxy_ssl_name: localhost
log:
  access_log: "off"
admin:
  listen: 127.0.0.1:${adminPort}
`,
    )
    return {
      command: process.execPath,
      args: [join(root, 'bin', 'sallyport.js'), 'run', '-c', config],
      readyUrl: `http://127.0.0.1:${adminPort}/readyz`,
    }
  },
}

/** In the order of the table's columns; all ratios are to the first. */
export const gateways: readonly Gateway[] = [nginx, haproxy, caddy, httpProxy, sallyport]

/** Writes the gateway's configuration into a folder of its own below `folder`. */
export function configure(gateway: Gateway, folder: string, site: Omit<Site, 'home'>): Launch {
  const home = join(folder, gateway.name)
  mkdirSync(home, { recursive: true })
  return gateway.configure({ ...site, home })
}

function nodeVersion(manifest: string): string {
  const { version } = JSON.parse(readFileSync(manifest, 'utf8'))
  return `${version}, Node ${process.versions.node}, OpenSSL ${process.versions.openssl}`
}

function match(text: string | undefined, pattern: RegExp): string | undefined {
  return text && pattern.exec(text)?.[1]
}
