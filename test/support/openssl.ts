/** The real `openssl s_client` and `s_server`: a TLS implementation that does not share Node's opinions. */
import { type Child, type Exit, run, startChild } from './children.ts'
import { freePort } from './free-port.ts'
import type { Authority, Issued } from './pki.ts'
import { parseAnswers, type RawAnswer } from './raw.ts'
import { waitFor } from './wait.ts'

export interface SessionOptions {
  readonly port: number
  readonly tls: 'tls1_2' | 'tls1_3'
  /** No server name at all where absent. */
  readonly servername?: string
  readonly as?: {
    readonly certificate: string
    readonly key: string
    /** Intermediates to send along: of the other file s_client takes the first certificate only. */
    readonly chain?: string
  }
  /** A file with the session to offer. */
  readonly resume?: string
  /** Where to keep the session of this connection. */
  readonly keep?: string
  /** A whole request that asks for `Connection: close`. */
  readonly request: string
}

export interface SessionResult {
  /** The server took the offered session. */
  readonly resumed: boolean
  readonly answers: readonly RawAnswer[]
  readonly output: string
}

/** One connection with one request. */
export async function sClient({
  port,
  tls,
  servername,
  as,
  resume,
  keep,
  request,
}: SessionOptions): Promise<SessionResult> {
  const name = servername === undefined ? ['-noservername'] : ['-servername', servername]
  const certificate = as ? ['-cert', as.certificate, '-key', as.key] : []
  if (as?.chain) certificate.push('-cert_chain', as.chain)
  const session = [...(resume ? ['-sess_in', resume] : []), ...(keep ? ['-sess_out', keep] : [])]
  const args = [
    's_client',
    '-connect',
    `127.0.0.1:${port}`,
    `-${tls}`,
    '-ign_eof',
    '-crlf',
    ...name,
    ...certificate,
    ...session,
  ]
  const { stdout } = await run('openssl', args, { input: request.replaceAll('\r\n', '\n') })
  return { resumed: /^Reused, TLS/m.test(stdout), answers: answersIn(stdout), output: stdout }
}

/** s_client prints what it learns about the connection between the bytes of the answer. */
function answersIn(output: string): readonly RawAnswer[] {
  const start = output.indexOf('HTTP/1.1 ')
  return start < 0 ? [] : parseAnswers(output.slice(start).replace(/\nclosed\n$/, ''), true)
}

/** A connection whose other side is `openssl s_client`, which does what is written to its standard input: `K` alone on a line renews the keys (RFC 8446 4.6.3). */
export async function interactiveClient(port: number, servername: string): Promise<Child> {
  const args = ['s_client', '-connect', `127.0.0.1:${port}`, '-servername', servername, '-tls1_3', '-crlf']
  const child = startChild('openssl', args, { interactive: true })
  await waitFor('the handshake of s_client', () => child.stdout.includes('Verify return code'))
  return child
}

/** `openssl s_server` alone: it prints what it gets, and answers with what is written to its standard input. `K` alone on a line renews the keys. */
export async function interactiveServer(certificate: Issued): Promise<SServer> {
  const port = await freePort()
  const { certificate: cert, key } = certificate.files()
  const args = ['s_server', '-accept', String(port), '-cert', cert, '-key', key]
  const child = startChild('openssl', args, { interactive: true })
  await waitFor('openssl s_server', () => child.stdout.includes('ACCEPT'))
  return { port, url: `https://localhost:${port}`, child }
}

export interface SServer {
  readonly port: number
  readonly url: string
  readonly child: Child
}

/** A TLS server that answers every GET with 200 and aborts the handshake, with an alert, where it does not trust the client's certificate. */
export async function sServer(certificate: Issued, clients: Authority): Promise<SServer> {
  const port = await freePort()
  const { certificate: cert, key } = certificate.files()
  const trusted = clients.files().certificate
  const args = [
    's_server',
    '-accept',
    String(port),
    '-cert',
    cert,
    '-key',
    key,
    '-CAfile',
    trusted,
    '-Verify',
    '2',
    '-verify_return_error',
    '-www',
  ]
  const child = startChild('openssl', args)
  await waitFor('openssl s_server', () => child.stdout.includes('ACCEPT'))
  return { port, url: `https://localhost:${port}`, child }
}

/** `openssl x509` on a PEM certificate. */
export function x509(pem: string, args: readonly string[]): Promise<Exit> {
  return run('openssl', ['x509', '-noout', ...args], { input: pem })
}
