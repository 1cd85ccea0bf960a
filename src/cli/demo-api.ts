import { readFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'

/** The API of the demo: it listens on a free loopback port. */
export interface DemoApi {
  readonly url: string
  close(): void
}

/**
 * An API as it should be behind a gateway: it accepts no connection without a certificate of its authority, and believes identity headers only from
 * the gateway. Another certificate of the same authority is not enough: whoever holds one could claim anything.
 * @param folder of the development certificates
 */
export async function startDemoApi(folder: string): Promise<DemoApi> {
  const read = (name: string) => readFileSync(join(folder, name))
  const server = createServer(
    {
      cert: read('api.crt'),
      key: read('api.key'),
      ca: [read('ca.crt')],
      crl: [read('ca.crl')],
      requestCert: true,
      rejectUnauthorized: true,
    },
    answer,
  )
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  const { port } = server.address() as AddressInfo
  return {
    url: `https://127.0.0.1:${port}`,
    close() {
      server.close()
      server.closeAllConnections()
    },
  }
}

function answer(request: IncomingMessage, response: ServerResponse): void {
  const caller = (request.socket as TLSSocket).getPeerX509Certificate()?.subject ?? ''
  request.resume()
  if (caller !== 'CN=gateway') {
    send(response, 403, { error: `this API serves CN=gateway only, not ${caller}` })
    return
  }
  send(response, 200, {
    method: request.method,
    path: request.url,
    VERIFIED: request.headers.verified ?? null,
    DN: request.headers.dn ?? null,
    'gateway showed': caller,
    forwarded: Object.fromEntries(
      Object.entries(request.headers).filter(([name]) => /^(x-forwarded-|x-real-ip$|via$)/.test(name)),
    ),
  })
}

function send(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(`${JSON.stringify(body, null, 2)}\n`)
}
