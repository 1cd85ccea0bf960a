import { createServer, request as httpRequest, type IncomingMessage, type Server } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterEach, describe, expect, test } from '@jest/globals'
import { ERROR_CODES, type ErrorCode, GatewayError } from '../../src/errors.ts'
import { ClientRequest, ClientResponse } from '../../src/listener/client-messages.ts'
import { refusalBytes, refuse } from '../../src/refuse.ts'

let server: Server | undefined

afterEach(() => {
  server?.closeAllConnections()
  server?.close()
  server = undefined
})

type Handler = (request: ClientRequest, response: ClientResponse) => void

async function listening(handle: Handler): Promise<number> {
  const messages = { IncomingMessage: ClientRequest, ServerResponse: ClientResponse }
  const started = createServer({ ...messages, requireHostHeader: false }, handle)
  server = started
  await new Promise<void>((resolve) => started.listen(0, '127.0.0.1', resolve))
  return (started.address() as AddressInfo).port
}

const refusing = (code: ErrorCode, id = 'req-1'): Promise<number> =>
  listening((request, response) =>
    refuse(new GatewayError(code, 'secret detail', { cause: new Error('secret cause') }), id, request, response),
  )

interface Answer {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

function ask(port: number, method: string, headers: Record<string, string> = {}, body?: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = httpRequest({ port, host: '127.0.0.1', method, headers, path: '/x' }, (response) => {
      text(response).then((whole) => {
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: whole })
      }, reject)
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

/** Sends bytes and gives everything that came back when the other side has closed. */
function raw(port: number, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes))
    let received = ''
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1')
    })
    socket.on('end', () => socket.end())
    socket.on('close', () => resolve(received))
    socket.on('error', reject)
  })
}

test('the headers that a refusal needs are sent, each on its own line', async () => {
  const headers = ['WWW-Authenticate', 'Basic realm="a"', 'WWW-Authenticate', 'Bearer']
  const error = new GatewayError('GW_UNAUTHENTICATED', 'secret detail', { headers })
  const port = await listening((request, response) => refuse(error, 'req-1', request, response))
  const answer = await raw(port, 'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
  expect(answer).toContain('\r\nWWW-Authenticate: Basic realm="a"\r\nWWW-Authenticate: Bearer\r\n')
  expect(refusalBytes(error, 'req-1').toString()).toContain('\r\nWWW-Authenticate: Bearer\r\n')
})

describe('refuse', () => {
  test('answers JSON with code, title, remedy and request id, and nothing of the detail', async () => {
    const { status, headers, body } = await ask(await refusing('GW_ROUTE_NOT_FOUND'), 'GET', { accept: '*/*' })
    expect(status).toBe(404)
    expect(headers).toMatchObject({ 'content-type': 'application/json; charset=utf-8', 'x-request-id': 'req-1' })
    expect(headers['cache-control']).toBe('no-store')
    expect(headers['content-length']).toBe(String(Buffer.byteLength(body)))
    expect(JSON.parse(body)).toEqual({
      code: 'GW_ROUTE_NOT_FOUND',
      message: 'Not Found',
      remedy: ERROR_CODES.GW_ROUTE_NOT_FOUND.remedy,
      request_id: 'req-1',
    })
    expect(body).not.toContain('secret')
    expect(headers.connection).toBe('keep-alive')
  })

  test('a browser gets HTML with nginx’s words in title and heading, and the connection closed', async () => {
    const port = await refusing('GW_CLIENT_CERTIFICATE_INVALID')
    const accept = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8'
    const { status, headers, body } = await ask(port, 'GET', { accept })
    expect(status).toBe(400)
    expect(headers.connection).toBe('close')
    expect(headers['content-type']).toBe('text/html; charset=utf-8')
    expect(body).toContain('<title>400 The SSL certificate error</title>')
    expect(body).toContain('<h1>400 The SSL certificate error</h1>')
    expect(body).toContain('GW_CLIENT_CERTIFICATE_INVALID')
    expect(body).toContain('req-1')
    expect(body).not.toContain('secret')
  })

  test('nothing that goes into HTML is taken for HTML', async () => {
    const port = await refusing('GW_UPSTREAM_REFUSED_CERTIFICATE', `<script>"'&`)
    const { body } = await ask(port, 'GET', { accept: 'text/html' })
    expect(body).not.toContain('<script>')
    expect(body).toContain('&#60;script&#62;&#34;&#39;&#38;')
  })

  test.each([
    [undefined, 'application/json'],
    ['*/*', 'application/json'],
    ['text/html, application/json', 'application/json'],
    ['text/html;q=0.5, application/json;q=0.4', 'text/html'],
    ['text/*', 'text/html'],
    ['text/plain', 'text/plain'],
    ['text/plain, text/html;q=0.9', 'text/plain'],
    ['application/json;q=0, */*', 'text/html'],
    ['image/png', 'application/json'],
    ['TEXT/HTML; q=x', 'application/json'],
    [';;;,,,q=1', 'application/json'],
  ])('Accept %s is answered with %s', (accept, type) => {
    const answer = refusalBytes(new GatewayError('GW_BAD_PATH', ''), 'id', accept).toString()
    expect(answer).toContain(`Content-Type: ${type}; charset=utf-8\r\n`)
  })

  test('only the beginning of a long Accept is read', () => {
    const accept = `${'a/b,'.repeat(5000)}text/html`
    expect(refusalBytes(new GatewayError('GW_BAD_PATH', ''), 'id', accept).toString()).toContain('application/json')
  })

  test('a connection that drains is closed after a refusal too', async () => {
    const port = await listening((request, response) => {
      response.shouldKeepAlive = false
      refuse(new GatewayError('GW_ROUTE_NOT_FOUND', ''), 'id', request, response)
    })
    expect((await ask(port, 'GET')).headers.connection).toBe('close')
  })

  test('HEAD gets the headers and no body', async () => {
    const { status, headers, body } = await ask(await refusing('GW_ROUTE_NOT_FOUND'), 'HEAD')
    expect(status).toBe(404)
    expect(Number(headers['content-length'])).toBeGreaterThan(0)
    expect(body).toBe('')
  })

  test('405 names the methods (RFC 9110 15.5.6)', async () => {
    server?.close()
    const method = await ask(await refusing('GW_METHOD_NOT_ALLOWED'), 'GET')
    expect(method.headers.allow).toContain('GET')
  })

  test('an answer that has begun is cut off, so that nobody takes it for whole', async () => {
    const port = await listening((request, response) => {
      response.writeHead(200)
      response.write('begun', () => refuse(new GatewayError('GW_UPSTREAM_RESET', ''), 'id', request, response))
    })
    await expect(ask(port, 'GET')).rejects.toThrow('aborted')
  })

  test('an answer that is complete stays as it is', async () => {
    const port = await listening((request, response) => {
      response.end('whole')
      refuse(new GatewayError('GW_INTERNAL', ''), 'id', request, response)
    })
    expect(await ask(port, 'GET')).toMatchObject({ status: 200, body: 'whole' })
  })

  test('the phrase of an upstream that cannot be sent is not sent with the refusal', async () => {
    const port = await listening((request, response) => {
      response.statusMessage = '\ufffd'
      refuse(new GatewayError('GW_UPSTREAM_RESPONSE', ''), 'id', request, response)
    })
    expect(await raw(port, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')).toMatch(
      /^HTTP\/1\.1 502 Bad Gateway\r\n/,
    )
  })

  test('headers that were prepared for another answer do not leak into it', async () => {
    const port = await listening((request, response) => {
      const headers = ['Set-Cookie', 'a=b', 'X-Name', '\0']
      expect(() => response.writeHead(200, undefined, headers)).toThrow('Invalid character')
      refuse(new GatewayError('GW_INTERNAL', ''), 'id', request, response)
    })
    expect((await ask(port, 'GET')).headers).not.toHaveProperty('set-cookie')
  })

  test('a client that is still sending gets the whole answer before the connection closes', async () => {
    const port = await refusing('GW_BODY_TOO_LARGE')
    const size = 20 * 1024 * 1024
    const answer = await raw(port, `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${size}\r\n\r\n${'x'.repeat(size)}`)
    expect(answer).toContain('HTTP/1.1 413')
    expect(answer).toContain('Connection: close')
    expect(answer).toContain('"request_id":"req-1"}')
  })

  test('the answer does not wait for a body that never comes', async () => {
    const port = await refusing('GW_BODY_TOO_LARGE')
    const received = await new Promise<string>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => {
        socket.write('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n')
      })
      socket.once('data', (chunk) => {
        socket.destroy()
        resolve(chunk.toString())
      })
    })
    expect(received).toContain('413')
    expect(received).toContain('"request_id":"req-1"}')
  })

  test('after a short body the connection stays usable where the code does not close it', async () => {
    const port = await refusing('GW_ROUTE_NOT_FOUND')
    const one = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello'
    const answer = await raw(port, `${one}GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`)
    expect(answer.match(/HTTP\/1\.1 404/g)).toHaveLength(2)
  })

  test('a long or chunked body is not drained to keep a connection: it is closed', async () => {
    const port = await refusing('GW_ROUTE_NOT_FOUND')
    const answer = await raw(port, 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n')
    expect(answer).toContain('HTTP/1.1 404')
    expect(answer).toContain('Connection: close')
  })
})

describe('refusalBytes', () => {
  test('is a complete HTTP/1.1 message that closes', () => {
    const bytes = refusalBytes(new GatewayError('GW_PLAIN_HTTP', 'secret'), 'id-2', 'text/html').toString()
    const [head = '', body = ''] = bytes.split('\r\n\r\n')
    expect(head).toMatch(/^HTTP\/1\.1 400 Bad Request\r\nDate: /)
    expect(head).toContain(`Content-Length: ${Buffer.byteLength(body)}`)
    expect(head).toContain('Connection: close')
    expect(head).toContain('X-Request-ID: id-2')
    expect(body).toContain('<h1>400 The plain HTTP request was sent to HTTPS port</h1>')
    expect(bytes).not.toContain('secret')
  })

  test.each(Object.keys(ERROR_CODES) as ErrorCode[])('%s can be sent', async (code) => {
    const bytes = refusalBytes(new GatewayError(code, ''), 'id')
    const port = await listening(() => {})
    server?.removeAllListeners('connection')
    server?.on('connection', (socket) => socket.end(bytes))
    expect(await ask(port, 'GET')).toMatchObject({
      status: ERROR_CODES[code].status,
      headers: { 'x-request-id': 'id' },
    })
  })
})
