import { createServer, type IncomingMessage, type Server } from 'node:http'
import { Duplex } from 'node:stream'

/** What a server read of a request. Texts are Latin-1. */
export interface RequestReading {
  readonly method: string | undefined
  readonly url: string | undefined
  readonly version: string
  readonly headers: readonly string[]
  body: string
  complete: boolean
  readonly keepAlive: boolean
}

export interface Readings {
  readonly requests: RequestReading[]
  /** In place of a request: what else the server made of the bytes. */
  readonly others: string[]
}

/** A connection whose client says what the test says. */
class Wire extends Duplex {
  override _read(): void {}

  override _write(_chunk: Buffer, _encoding: string, done: () => void): void {
    done()
  }
}

const servers = new Map<number, Server>()
const readings = new WeakMap<object, Readings>()

/** Gives the bytes to Node's own HTTP server, whose parser is llhttp, set up as the gateway's is. Nothing is answered. */
export async function readWithNodeServer(bytes: string, maxHeaderSize = 16 * 1024): Promise<Readings> {
  const server = servers.get(maxHeaderSize) ?? startServer(maxHeaderSize)
  const found: Readings = { requests: [], others: [] }
  const wire = new Wire()
  readings.set(wire, found)
  server.emit('connection', wire)
  wire.push(bytes, 'latin1')
  // The first turn hands the bytes to the parser, the second lets the last body end.
  await new Promise(setImmediate)
  await new Promise(setImmediate)
  wire.destroy()
  return found
}

function startServer(maxHeaderSize: number): Server {
  const server = createServer({ maxHeaderSize, requireHostHeader: false })
  server.maxHeadersCount = 0
  const other = (name: string) => (_request: unknown, socketOrResponse: unknown) => {
    const socket = (socketOrResponse as { socket?: object }).socket ?? (socketOrResponse as object)
    readings.get(socket)?.others.push(name)
  }
  server.on('request', (request, { shouldKeepAlive }) => note(request, shouldKeepAlive))
  for (const event of ['checkContinue', 'checkExpectation', 'upgrade', 'connect']) server.on(event, other(event))
  server.on('clientError', (error: Error & { code?: string }, wire) => {
    readings.get(wire)?.others.push(error.code ?? error.message)
  })
  servers.set(maxHeaderSize, server)
  return server
}

function note(request: IncomingMessage, keepAlive: boolean): void {
  const { method, url, httpVersion: version, rawHeaders: headers } = request
  const reading = { method, url, version, headers, body: '', complete: false, keepAlive }
  readings.get(request.socket)?.requests.push(reading)
  request.on('data', (chunk: Buffer) => {
    reading.body += chunk.toString('latin1')
  })
  request.on('end', () => {
    reading.complete = true
  })
  request.on('error', () => {})
}
