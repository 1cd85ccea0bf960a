/**
 * Full TLS 1.3 handshakes with certificates on both sides and no request, from a process of its own that can be stopped and continued: what a new connection
 * costs before anything is forwarded. ab sends a request on each connection, and openssl s_time leaves before the server has seen its certificate.
 */
import { readFileSync } from 'node:fs'
import { connect, createSecureContext } from 'node:tls'
import { parseArgs } from 'node:util'
import { KEY_EXCHANGE } from './client.ts'
import type { Pki } from './pki.ts'
import { type Command, runCommand } from './processes.ts'

const CONCURRENCY = 32
/** How long one handshake may take, with the time for which the load is stopped. */
const LIMIT_MS = 60_000

/** Whichever comes first. */
export interface HandshakeLimits {
  readonly count?: number
  readonly seconds?: number
}

/** 32 clients that connect and leave again and again. `complete` is how often they did; it rejects where one was not let in. */
export function startHandshakes(
  pki: Pki,
  port: number,
  { count, seconds }: HandshakeLimits,
): { readonly command: Command; readonly result: Promise<{ readonly complete: number }> } {
  const command = runCommand(process.execPath, [
    ...[import.meta.filename, '--port', String(port), '--ca', pki.ca],
    ...['--certificate', pki.client.certificate, '--key', pki.client.key],
    ...(count === undefined ? [] : ['--count', String(count)]),
    ...(seconds === undefined ? [] : ['--seconds', String(seconds)]),
  ])
  return { command, result: command.output.then((output) => ({ complete: Number(output) })) }
}

async function shakeHands(): Promise<number> {
  const text = { type: 'string' } as const
  const { values } = parseArgs({
    options: { port: text, ca: text, certificate: text, key: text, count: text, seconds: text },
  })
  const [ca, cert, key] = [values.ca, values.certificate, values.key].map((file) => readFileSync(file as string))
  // Read once: with a context for each connection the clients would cost half as much again.
  const secureContext = createSecureContext({ ca, cert, key, ecdhCurve: KEY_EXCHANGE, minVersion: 'TLSv1.3' })
  const options = { host: '127.0.0.1', port: Number(values.port), servername: 'localhost', secureContext }
  /** A session ticket comes when the server has checked the client's certificate, and not before. */
  const one = () =>
    new Promise<void>((resolve, reject) => {
      let admitted = false
      const socket = connect(options)
      socket.setTimeout(LIMIT_MS, () => socket.destroy(new Error('a handshake does not end')))
      socket.once('session', () => {
        admitted = true
        socket.end()
      })
      socket.once('error', reject).resume()
      socket.once('close', () => (admitted ? resolve() : reject(new Error('a handshake was ended'))))
    })
  const end = performance.now() + Number(values.seconds ?? Number.POSITIVE_INFINITY) * 1000
  let left = Number(values.count ?? Number.POSITIVE_INFINITY)
  let complete = 0
  const oneAfterTheOther = async () => {
    while (left > 0 && performance.now() < end) {
      left--
      await one()
      complete++
    }
  }
  await Promise.all(Array.from({ length: CONCURRENCY }, oneAfterTheOther))
  return complete
}

if (process.argv[1] === import.meta.filename) console.log(await shakeHands())
