/** The soak's scene: certificates, a gateway with two workers, one target that stays and one that dies and comes back. */
import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Authority, createAuthority, type Issued } from '../../src/tls-cert-utils/development-pki.ts'
import { firstSuccess } from '../entrant.ts'
import { freePort, type Running, start } from '../processes.ts'
import type { BackendSettings } from './backend.ts'
import type { Caller } from './callers.ts'

const PROGRAM = join(import.meta.dirname, '..', '..', 'bin', 'sallyport.js')
const BACKEND = join(import.meta.dirname, 'backend.ts')
const CALLERS = 8

export interface Scene {
  readonly gateway: Running
  readonly log: string
  readonly port: number
  readonly adminPort: number
  /** Known clients, and one who shows nothing. */
  readonly callers: readonly Caller[]
  /** Who is on the revocation list at times. */
  readonly outlaw: Caller
  /** Starts the target that dies. */
  readonly startMortal: () => Promise<Running>
  /** Each changes something of the configuration on disk; nothing is read before a reload. */
  readonly change: {
    routes(count: number): void
    revocationList(revokesOutlaw: boolean): Promise<void>
    serverCertificate(): Promise<void>
    gatewayCertificate(): Promise<void>
  }
}

export async function makeScene(folder: string): Promise<Scene> {
  const [clients, servers, inside] = await Promise.all([
    createAuthority({ subject: 'Soak clients' }),
    createAuthority({ subject: 'Soak servers' }),
    createAuthority({ subject: 'Soak inside' }),
  ])
  const file = (name: string) => join(folder, name)
  // Whole, as nobody may read half of a file: not even a soak's gateway that is told to reload twice.
  const write = (name: string, text: string) => {
    writeFileSync(file(`${name}.new`), text)
    renameSync(file(`${name}.new`), file(name))
  }
  const writePair = (name: string, issued: Issued) => {
    write(`${name}.crt`, issued.chainPem)
    write(`${name}.key`, issued.keyPem)
  }
  for (const [name, { pem }] of Object.entries({ clients, inside })) write(`${name}.ca`, pem)
  const host = { dnsNames: ['localhost'], ipAddresses: ['127.0.0.1'], subject: 'localhost' }
  writePair('backend', await inside.issue(host))
  const mallory = await clients.issue({ subject: 'CN=mallory' })
  const names = Array.from({ length: CALLERS }, (_, i) => `CN=client-${i}`)
  const known = await Promise.all(names.map(async (dn) => callerOf(dn, await clients.issue({ subject: dn }), servers)))
  const [port, adminPort, steady, mortal] = await Promise.all([freePort(), freePort(), freePort(), freePort()])
  const change: Scene['change'] = {
    routes: (count) =>
      write('gateway.json', JSON.stringify(configuration({ file, port, adminPort, steady, mortal, count }))),
    async revocationList(revokesOutlaw) {
      const revoked = [...strangers(), ...(revokesOutlaw ? [mallory] : [])]
      write('clients.crl', await clients.revocationList({ revoked }))
    },
    serverCertificate: async () => writePair('server', await servers.issue(host)),
    gatewayCertificate: async () => writePair('gateway', await inside.issue({ subject: 'CN=gateway' })),
  }
  change.routes(10)
  await Promise.all([change.revocationList(false), change.serverCertificate(), change.gatewayCertificate()])
  const startTarget = (targetPort: number, name: string) => {
    const certificates = { certificate: file('backend.crt'), key: file('backend.key'), ca: file('inside.ca') }
    const settings: BackendSettings = { port: targetPort, ...certificates }
    return start(process.execPath, [BACKEND, JSON.stringify(settings)], {}, file(`${name}.log`))
  }
  await startTarget(steady, 'steady')
  const log = file('gateway.log')
  const gateway = await start(process.execPath, [PROGRAM, 'run', '-c', file('gateway.json')], {}, log)
  const ready = `http://127.0.0.1:${adminPort}/readyz`
  await firstSuccess(gateway, async () => (await fetch(ready)).status === 200)
  return {
    ...{ gateway, log, port, adminPort, change },
    callers: [...known, { verified: 'NONE', dn: '', tls: { ca: servers.pem } }],
    outlaw: callerOf('CN=mallory', mallory, servers),
    startMortal: () => startTarget(mortal, 'mortal'),
  }
}

function callerOf(dn: string, { chainPem, keyPem }: Issued, servers: Authority): Caller {
  return { verified: 'SUCCESS', dn, tls: { ca: servers.pem, cert: chainPem, key: keyPem } }
}

/** Serial numbers of nobody here, so that each list is another one. */
function strangers(): string[] {
  return Array.from({ length: 500 }, () => Math.floor(Math.random() * 2 ** 47 + 2 ** 46).toString(16))
}

interface Places {
  readonly file: (name: string) => string
  readonly port: number
  readonly adminPort: number
  readonly steady: number
  readonly mortal: number
  /** Routes that nobody asks for. */
  readonly count: number
}

function configuration({ file, port, adminPort, steady, mortal, count }: Places): object {
  const others = Array.from({ length: count }, (_, i) => ({
    name: `other-${i}`,
    hosts: [`host-${i}.example`],
    paths: ['/'],
  }))
  const server = {
    ...{ server_names: ['localhost'], ssl_certificate: file('server.crt'), ssl_certificate_key: file('server.key') },
    ...{ ssl_client_certificate: file('clients.ca'), ssl_verify_client: 'optional', ssl_crl: file('clients.crl') },
  }
  const both = [{ target: `127.0.0.1:${mortal}` }, { target: `127.0.0.1:${steady}` }]
  return {
    workers: 2,
    listeners: [{ listen: `127.0.0.1:${port}`, servers: [server] }],
    services: [
      {
        name: 'steady',
        url: `https://127.0.0.1:${steady}`,
        routes: [{ name: 'steady', paths: ['/steady'] }, ...others],
      },
      { name: 'mortal', protocol: 'https', host: 'both', routes: [{ name: 'mortal', paths: ['/mortal'] }] },
    ],
    upstreams: [{ name: 'both', targets: both }],
    proxy: {
      ...{ proxy_ssl_certificate: file('gateway.crt'), proxy_ssl_certificate_key: file('gateway.key') },
      ...{ proxy_ssl_trusted_certificate: file('inside.ca'), proxy_ssl_name: 'localhost' },
      // Short, so that what is left at the end is what was forgotten.
      upstream_keepalive_idle_timeout: '5s',
    },
    admin: { listen: `127.0.0.1:${adminPort}` },
    // The soak says when: it counts what became of each reload.
    reload: { watch: 'off' },
  }
}
