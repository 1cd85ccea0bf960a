import { type IncomingMessage, request } from 'node:http'
import { Duplex } from 'node:stream'
import { type Asked, emptyReading, type Reading } from './answer-reading.ts'

/** A connection whose peer says what the test says; a socket could join the pieces on their way. */
class Wire extends Duplex {
  override _read(): void {}

  override _write(_chunk: Buffer, _encoding: string, done: () => void): void {
    done()
  }
}

/** Gives the pieces, and the end of the connection behind them, to Node's own HTTP client, whose parser is llhttp. */
export function readWithNode(
  pieces: readonly string[],
  { method = 'GET', upgrade = false }: Asked = {},
): Promise<Reading> {
  const reading = emptyReading()
  const wire = new Wire()
  const headers = upgrade ? { Connection: 'Upgrade', Upgrade: 'websocket' } : {}
  const asking = request({ method, headers, createConnection: () => wire, maxHeaderSize: 128 * 1024 })
  asking.on('information', ({ statusCode, rawHeaders }) => {
    reading.interims.push({ status: statusCode, headers: rawHeaders })
  })
  asking.on('response', (answer) => readMessage(reading, answer))
  asking.on('upgrade', (answer, socket, rest) => {
    readHead(reading, answer)
    reading.rest = rest.toString('latin1')
    socket.destroy()
  })
  asking.on('error', (error) => {
    reading.error ??= error.message
  })
  asking.end()
  setImmediate(() => {
    for (const piece of pieces) if (piece !== '') wire.push(piece, 'latin1')
    wire.push(null)
  })
  return new Promise((resolve) => {
    asking.on('close', () => resolve(reading))
  })
}

function readMessage(reading: Reading, answer: IncomingMessage): void {
  readHead(reading, answer)
  answer.on('data', (chunk: Buffer) => {
    reading.body += chunk.toString('latin1')
  })
  answer.on('end', () => {
    reading.trailers = answer.rawTrailers
    reading.complete = answer.complete
  })
  answer.on('error', (error) => {
    reading.error ??= error.message
  })
}

function readHead(reading: Reading, { statusCode, statusMessage, rawHeaders }: IncomingMessage): void {
  Object.assign(reading, { status: statusCode, reason: statusMessage, headers: rawHeaders })
}
