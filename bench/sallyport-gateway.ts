/** Sallyport's configuration for each job of the bench. */
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Gateway, type Job, nodeVersion } from './gateway.ts'
import { certificatesSetting, FEW_NAMES, MANY_NAMES } from './names.ts'
import type { Pki } from './pki.ts'

const root = join(import.meta.dirname, '..')
/** As the image sets it. */
const ENVIRONMENT = { MALLOC_ARENA_MAX: '2', OPENSSL_CONF: join(root, 'conf', 'openssl.cnf') }

export const sallyport: Gateway = {
  name: 'sallyport',
  warmsUp: true,
  jobs: new Set([
    'bare',
    'real',
    'ten-routes',
    '10000-routes',
    'ten-names',
    '10000-names',
    'two-workers',
    'many',
    'mapping',
  ]),
  async version() {
    return existsSync(join(root, 'bin', 'sallyport.js')) ? nodeVersion(join(root, 'package.json')) : undefined
  },
  configure({ home, port, adminPort, upstreamPort, pki, job, crl }) {
    const config = join(home, 'sallyport.yaml')
    writeFileSync(
      config,
      `
_format_version: "3.0"
workers: ${job === 'two-workers' ? 2 : 1}
listeners:
  - listen: 127.0.0.1:${port}
    keepalive_requests: 1000000000
${job === 'many' ? '    max_connections: 100000\n    keepalive_timeout: 1h' : ''}
    servers:
      - server_names: [localhost]
${namesOf(job) ? '' : ownCertificate(pki)}
        ssl_client_certificate: ${pki.ca}
        ssl_verify_client: "on"
        # All sessions end with each such time: one that is measured just then would not be resumed.
        ssl_session_timeout: 1d
${crl ? `        ssl_crl: ${crl}` : ''}
${job === 'mapping' ? USERS : ''}
services:
  - name: api
    url: https://127.0.0.1:${upstreamPort}
    routes:
      - name: everything
        paths: [/]
${job === 'mapping' ? MAPPED_ROUTES : otherRoutes(job)}
${certificatesSetting(pki, namesOf(job))}
proxy:
  proxy_ssl_certificate: ${pki.gateway.certificate}
  proxy_ssl_certificate_key: ${pki.gateway.key}
  proxy_ssl_trusted_certificate: ${pki.ca}
  proxy_ssl_name: localhost
${job === 'many' ? '  # Few, so that nearly all of the limit of open files is left to the clients.\n  upstream_max_connections: 64' : ''}
log:
  access_log: "${job === 'real' ? 'on' : 'off'}"
admin:
  listen: 127.0.0.1:${adminPort}
`,
    )
    return {
      command: process.execPath,
      args: [join(root, 'bin', 'sallyport.js'), 'run', '-c', config],
      env: ENVIRONMENT,
      readyUrl: `http://127.0.0.1:${adminPort}/readyz`,
    }
  },
}

function ownCertificate({ server }: Pki): string {
  return `        ssl_certificate: ${server.certificate}\n        ssl_certificate_key: ${server.key}`
}

/** How many names have a certificate each. */
function namesOf(job: Job): number {
  return job === 'ten-names' ? FEW_NAMES : job === '10000-names' ? MANY_NAMES : 0
}

const USERS = `
        authorization:
          users:
            - { user: somebody, certificate: ["email:somebody@example.com"] }
            - { user: { from: subject.cn }, groups: [staff, writers] }
`

/** The same, but that one asks whose the certificate is, and whether he belongs to a group. */
const MAPPED_ROUTES = `
      - { name: open, paths: [/free/] }
      - { name: mapped, paths: [/user/], rules: [[certificate]], allow: [{ groups: [staff] }], deny: [{ users: [eve] }] }
`

/** Beside the one that is asked for, which is the last in the order of precedence. */
function otherRoutes(job: Job): string {
  const count = job === '10000-routes' ? 9_999 : job === 'ten-routes' || job === 'real' ? 9 : 0
  const routes = Array.from({ length: count }, (_, i) => {
    // Half are told apart by their host, half by their path.
    const condition = i % 2 === 0 ? `hosts: [host-${i}.example], paths: [/]` : `paths: [/service-${i}/]`
    return `      - { name: other-${i}, ${condition} }`
  })
  return routes.join('\n')
}
