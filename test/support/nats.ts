/** The real nats-server, which verifies client certificates and maps them to users, and what it makes of a client. */
import { connect as connectTcp } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { type Child, startChild } from './children.ts'
import { temporaryFile } from './folder.ts'
import { accepts, freePort } from './free-port.ts'
import { findCommand } from './peers.ts'
import type { Authority, Issued } from './pki.ts'
import { waitFor, within } from './wait.ts'

export interface NatsVerdict {
  readonly accepted: boolean
  /** What its log says of the rule that matched, as `Using email found in cert for auth`; undefined where none did. */
  readonly rule: string | undefined
  /** The user whom it found. */
  readonly user: string | undefined
}

export interface NatsServer {
  /** Connects with a certificate and asks for nothing. One after the other: the log tells which rule matched. */
  connect(as: Issued): Promise<NatsVerdict>
}

export interface NatsOptions {
  readonly clients: Authority
  readonly server: Issued
  readonly users: readonly string[]
}

export async function startNats({ clients, server, users }: NatsOptions): Promise<NatsServer> {
  const { certificate, key } = server.files()
  const port = await freePort()
  return startConfiguredNats(
    port,
    `
listen: "127.0.0.1:${port}"
tls {
  cert_file: "${certificate}"
  key_file: "${key}"
  ca_file: "${temporaryFile('ca.pem', clients.certificate)}"
  verify_and_map: true
  timeout: 20
}
authorization { users = [ ${users.map((user) => `{ user: ${JSON.stringify(user)} }`).join('\n')} ] }
`,
  )
}

/** @param configuration must listen on 127.0.0.1 and that port */
export async function startConfiguredNats(port: number, configuration: string): Promise<NatsServer> {
  const child = startChild(findCommand('nats-server') ?? 'nats-server', [
    '-c',
    temporaryFile('nats.conf', configuration),
    '-DV',
  ])
  await waitFor('nats-server', async () => !child.running || (await accepts(port)))
  if (!child.running) throw new Error(`nats-server did not start: ${(await child.exited).stderr}`)
  return { connect: (as) => connect(child, port, as) }
}

/** The server speaks first: INFO, then TLS, then CONNECT and PING. */
async function connect(child: Child, port: number, as: Issued): Promise<NatsVerdict> {
  const before = child.stderr.length
  const answer = await within(30, 'an answer of nats-server', exchange(port, as))
  const accepted = answer.includes('PONG')
  if (!accepted && !answer.includes('-ERR')) throw new Error(`nats-server said ${JSON.stringify(answer)}`)
  const lines = () => child.stderr.slice(before)
  if (!accepted) await waitFor('the log of the refusal', () => /authentication error/.test(lines()))
  const found = /(Using .+ for auth) \[("(?:[^"\\]|\\.)*")\]/.exec(lines())
  if (accepted && !found) await waitFor('the log of the rule', () => /Using .+ for auth/.test(lines()))
  const [, rule, user] = /(Using .+ for auth) \[("(?:[^"\\]|\\.)*")\]/.exec(lines()) ?? []
  return { accepted, rule, user: user === undefined ? undefined : unquoted(user) }
}

/** Go's %q, as far as these names need it. */
function unquoted(text: string): string {
  return JSON.parse(text) as string
}

function exchange(port: number, as: Issued): Promise<string> {
  return new Promise((resolve, reject) => {
    const plain = connectTcp(port, '127.0.0.1')
    plain.once('error', reject)
    plain.once('data', () => {
      const secure = connectTls({ socket: plain, cert: as.chain, key: as.key, rejectUnauthorized: false })
      let text = ''
      secure.setEncoding('utf8')
      secure.on('data', (chunk: string) => {
        text += chunk
        if (/PONG|-ERR/.test(text)) {
          resolve(text)
          secure.destroy()
        }
      })
      secure.on('error', reject)
      secure.on('close', () => resolve(text))
      secure.write('CONNECT {"verbose":true}\r\nPING\r\n')
    })
  })
}
