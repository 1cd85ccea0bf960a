/**
 * What Sallyport itself does for each new connection beside the handshake, alone and in this process: reading the ClientHello, and what is known of the
 * client when the handshake is done. The certificate has been seen before, as nearly always; it is judged anew each time.
 *
 *   npm run bench -- facts
 *
 * CPU time, the collection of garbage included; the best of ten rounds, as others on the machine only ever add to it.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { type AddressInfo, connect as connectTcp, createServer as createTcpServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ConnectionOptions, connect, createServer, type TLSSocket } from 'node:tls'
import { describeConnection } from '../src/listener/connection.ts'
import type { Shown } from '../src/listener/demand.ts'
import { Intermediates } from '../src/listener/intermediates.ts'
import { TrustPolicy } from '../src/listener/trust-policy.ts'
import { readClientHello } from '../src/tls-cert-utils/client-hello.ts'
import { makePki, type Pki } from './pki.ts'

const CALLS = 5_000
const ROUNDS = 10

const folder = mkdtempSync(join(tmpdir(), 'sallyport-bench-'))
process.once('exit', () => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }))

const pki = await makePki(folder)
const text = (file: string) => readFileSync(file, 'utf8')
const client: ConnectionOptions = {
  ...{ host: '127.0.0.1', servername: 'localhost' },
  ...{ cert: text(pki.client.certificate), key: text(pki.client.key) },
}
const hello = await firstBytes()
const alone = await accepted(pki, { rejectUnauthorized: false })
const withIssuer = await accepted(pki, { ca: text(pki.ca) })
const policy = policyOf(pki)
const peer = { remoteAddress: '127.0.0.1', remotePort: 1, localPort: 2, serverName: 'localhost' }

report('reading the ClientHello', () => readClientHello(hello))
report('the facts of a certificate that was seen before', () => see(alone))
report('… judging it, and the facts of the connection', () => {
  const shown = see(alone)
  const { verification } = policy.judge(shown)
  describeConnection(alone, { policy: policy.id, peer, shown, verification })
})
report('the facts where its issuer comes with it', () => see(withIssuer))
report('… of which node:tls takes for copying each', () => withIssuer.getPeerX509Certificate())
process.exit(0)

function see(socket: TLSSocket): Shown | undefined {
  return policy.see(socket, policy.certificateOf(socket))
}

function report(what: string, call: () => unknown): void {
  let best = Number.POSITIVE_INFINITY
  for (let round = 0; round < ROUNDS; round++) {
    const before = process.cpuUsage()
    for (let i = 0; i < CALLS; i++) call()
    const { user, system } = process.cpuUsage(before)
    best = Math.min(best, (user + system) / CALLS)
  }
  console.log(`${what}: ${best.toFixed(1)} µs`)
}

function firstBytes(): Promise<Buffer> {
  return new Promise((resolve) => {
    const server = createTcpServer((socket) => socket.on('error', ignore).once('data', resolve))
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      connect({ ...client, socket: connectTcp(port, '127.0.0.1') }).on('error', ignore)
    })
  })
}

/** The server's end of a full handshake. A client of OpenSSL sends along what it has of its own chain among `ca`. */
function accepted({ ca, server: pair }: Pki, more: ConnectionOptions): Promise<TLSSocket> {
  return new Promise((resolve) => {
    const identity = { cert: text(pair.certificate), key: text(pair.key) }
    const server = createServer({ ca: text(ca), ...identity, requestCert: true }, resolve)
    server.listen(0, '127.0.0.1', () => connect({ ...client, ...more, port: (server.address() as AddressInfo).port }))
  })
}

function policyOf({ ca }: Pki): TrustPolicy {
  return new TrustPolicy(
    {
      ...{ id: 'a'.repeat(64), verify: 'on', rejects: false, announced: true, partialChain: false },
      ...{ ca: [text(ca)], unannounced: [], demands: '', requirement: () => undefined, verifyDepth: 1 },
      ...{ minVersion: 'TLSv1.2', maxVersion: 'TLSv1.3', ciphers: 'HIGH', handshakeTimeout: 10_000 },
      ...{ sessionTickets: true, sessionTimeout: 300_000 },
    },
    {
      ...{
        inForce: { demands: [], basis: () => '' },
        intermediates: new Intermediates(),
        sessionContext: '',
      },
      ticketSecret: { bytes: Buffer.alloc(32), since: 0 },
    },
  )
}

function ignore(): void {}
