/**
 * A target of the soak, in a process of its own, so that it can die: `node backend.ts SETTINGS`, a JSON object. Each answer says what the
 * gateway told it of the client, and which request it belongs to.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import { setTimeout as sleep } from 'node:timers/promises'
import { WebSocketServer } from 'ws'
import { piece } from './contents.ts'

export interface BackendSettings {
  readonly port: number
  readonly certificate: string
  readonly key: string
  /** Whose certificate the gateway must show. */
  readonly ca: string
}

/** What a backend saw; a WebSocket's first message is the same as JSON. */
export const SAW = { verified: 'x-saw-verified', dn: 'x-saw-dn', nonce: 'x-saw-nonce' } as const

if (process.argv[1] === import.meta.filename) serve(JSON.parse(process.argv[2] ?? '') as BackendSettings)

function serve({ port, certificate, key, ca }: BackendSettings): void {
  const server = createServer(
    {
      ...{ cert: readFileSync(certificate), key: readFileSync(key), ca: readFileSync(ca) },
      ...{ requestCert: true, rejectUnauthorized: true, keepAliveTimeout: 120_000 },
    },
    (request, response) => void answer(request, response).catch(() => response.destroy()),
  )
  const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false })
  server.on('upgrade', (request, socket, head) => {
    sockets.handleUpgrade(request, socket, head, (client) => {
      client.on('error', () => {})
      client.send(JSON.stringify(sawOf(request)))
      client.on('message', (data, isBinary) => client.send(data, { binary: isBinary }))
    })
  })
  server.listen(port, '127.0.0.1')
}

function sawOf({ headers }: IncomingMessage): Record<keyof typeof SAW, string> {
  return {
    verified: String(headers.verified ?? ''),
    dn: String(headers.dn ?? ''),
    nonce: String(headers['x-nonce'] ?? ''),
  }
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname, searchParams } = new URL(request.url ?? '', 'https://backend')
  const saw = sawOf(request)
  for (const [fact, header] of Object.entries(SAW)) response.setHeader(header, saw[fact as keyof typeof SAW])
  const number = (name: string) => Number(searchParams.get(name))
  if (pathname.endsWith('/upload')) await digest(request, response)
  else if (pathname.endsWith('/drip')) await drip(response, number('pieces'), number('every'))
  else await send(response, number('from'), number('size'))
}

async function digest(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const hash = createHash('sha256')
  for await (const chunk of request) hash.update(chunk as Buffer)
  response.end(hash.digest('hex'))
}

/**
 * The end of an answer leaves when nothing of it waits any more. Where a request comes while a part of the answer before it waits, even if only to be told that it was
 * taken, node:http pauses its parser, takes the next TLS record of the request's body for an error and closes the connection without an answer (HPE_PAUSED).
 * A POST is lost then, which no gateway may send again.
 */
const LAST_BYTES = 8 * 1024

async function send(response: ServerResponse, from: number, size: number): Promise<void> {
  response.setHeader('content-length', size)
  let sent = 0
  for (; size - sent > LAST_BYTES; ) {
    const bytes = piece(from + sent, size - sent - LAST_BYTES)
    sent += bytes.length
    await taken(response, bytes)
  }
  for (; sent < size; ) {
    const bytes = piece(from + sent, size - sent)
    sent += bytes.length
    response.write(bytes)
  }
  response.end()
}

/** Nothing of it waits any more, or nobody wants it. */
function taken(response: ServerResponse, bytes: Buffer): Promise<void> {
  return new Promise((resolve) => {
    response.once('close', resolve)
    response.write(bytes, () => {
      response.off('close', resolve)
      resolve()
    })
  })
}

/** A long answer of which something comes now and then; of unknown length. */
async function drip(response: ServerResponse, pieces: number, every: number): Promise<void> {
  for (let i = 0; i < pieces && !response.destroyed; i++) {
    response.write(piece(i, 1))
    await sleep(every)
  }
  response.end()
}
