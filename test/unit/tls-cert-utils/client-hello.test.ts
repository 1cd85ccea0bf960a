import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { type ConnectionOptions, connect } from 'node:tls'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { type ClientHelloResult, MAX_CLIENT_HELLO, readClientHello } from '../../../src/tls-cert-utils/client-hello.ts'
import { processorTime } from '../../support/processor-time.ts'
import fc from '../../support/random.ts'

/** The first flight that a client sends to a server that never answers. */
async function capture(start: (port: number) => () => void): Promise<Buffer> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const stop = start((server.address() as AddressInfo).port)
  try {
    const [socket] = await once(server, 'connection')
    let bytes = Buffer.alloc(0)
    for await (const chunk of socket) {
      bytes = Buffer.concat([bytes, chunk])
      if (readClientHello(bytes).status !== 'incomplete') break
    }
    return bytes
  } finally {
    stop()
    server.close()
  }
}

function fromNode(options: ConnectionOptions): Promise<Buffer> {
  return capture((port) => {
    const socket = connect({ port, host: '127.0.0.1', ...options })
    socket.on('error', () => {})
    return () => socket.destroy()
  })
}

function fromOpenssl(...args: string[]): Promise<Buffer> {
  return capture((port) => {
    const child = spawn('openssl', ['s_client', '-connect', `127.0.0.1:${port}`, ...args], { stdio: 'ignore' })
    return () => child.kill('SIGKILL')
  })
}

/** The same handshake message in records of `size` bytes. */
function fragmented(hello: Buffer, size: number): Buffer {
  const message = hello.subarray(5)
  const records: Buffer[] = []
  for (let position = 0; position < message.length; position += size) {
    const part = message.subarray(position, position + size)
    records.push(Buffer.from([22, 3, 1, part.length >> 8, part.length & 0xff]), part)
  }
  return Buffer.concat(records)
}

const vector = (width: 1 | 2 | 3, ...content: Uint8Array[]) => {
  const body = Buffer.concat(content)
  const length = Buffer.alloc(width)
  length.writeUIntBE(body.length, 0, width)
  return Buffer.concat([length, body])
}
const extension = (type: number, ...content: Uint8Array[]) =>
  Buffer.concat([Buffer.from([type >> 8, type & 0xff]), vector(2, ...content)])
const hostName = (name: string | Uint8Array) =>
  Buffer.concat([Buffer.from([0]), vector(2, Buffer.from(name as string))])
const serverName = (name: string | Uint8Array) => extension(0, vector(2, hostName(name)))

/** A ClientHello made by hand, with these extensions. */
function handmade(...extensions: Uint8Array[]): Buffer {
  const fields = [
    Buffer.from([3, 3]),
    Buffer.alloc(32),
    vector(1),
    vector(2, Buffer.from([0x13, 1])),
    vector(1, Buffer.from([0])),
  ]
  const body = Buffer.concat([...fields, ...(extensions.length === 0 ? [] : [vector(2, ...extensions)])])
  const message = Buffer.concat([Buffer.from([1]), vector(3, body)])
  return Buffer.concat([Buffer.from([22, 3, 1]), vector(2, message)])
}

let captured: Buffer

beforeAll(async () => {
  captured = await fromNode({ servername: 'Api.Example.TEST', ALPNProtocols: ['h2', 'http/1.1'] })
})

describe('readClientHello reads the hello of', () => {
  test('Node with TLS 1.3, server name and protocols', () => {
    expect(readClientHello(captured)).toEqual({
      status: 'hello',
      serverName: 'api.example.test',
      sessionTicket: undefined,
    })
  })

  test('a client that goes on with a session of TLS 1.2: the ticket, where there is one', () => {
    const ticketOf = (bytes: Buffer) => readClientHello(handmade(extension(35, bytes)))
    expect(ticketOf(Buffer.from('ticket'))).toMatchObject({ status: 'hello', sessionTicket: Buffer.from('ticket') })
    expect(ticketOf(Buffer.alloc(0))).toMatchObject({ status: 'hello', sessionTicket: undefined })
  })

  test('Node without server name and protocols', async () => {
    expect(readClientHello(await fromNode({}))).toMatchObject({
      status: 'hello',
      serverName: undefined,
    })
  })

  test('Node with TLS 1.2 alone', async () => {
    expect(readClientHello(await fromNode({ maxVersion: 'TLSv1.2', servername: 'a.test' }))).toMatchObject({
      status: 'hello',
      serverName: 'a.test',
    })
  })

  test.each(['-tls1_3', '-tls1_2'])('openssl s_client %s', async (version) => {
    const bytes = await fromOpenssl(version, '-servername', 'b.test', '-alpn', 'http/1.1')
    expect(readClientHello(bytes)).toMatchObject({ status: 'hello', serverName: 'b.test' })
  })

  test('openssl s_client without server name', async () => {
    expect(readClientHello(await fromOpenssl('-noservername'))).toMatchObject({
      status: 'hello',
      serverName: undefined,
    })
  })

  test('openssl s_client that splits its records', async () => {
    const bytes = await fromOpenssl('-servername', 'c.test', '-split_send_frag', '512', '-max_send_frag', '512')
    expect(readClientHello(bytes)).toMatchObject({ serverName: 'c.test' })
  })
})

describe('a ClientHello in pieces', () => {
  test('is incomplete at every byte before its last, and asks for more than it has but never too much', () => {
    for (let length = 0; length < captured.length; length++) {
      const result = readClientHello(captured.subarray(0, length))
      expect(result.status).toBe('incomplete')
      if (result.status !== 'incomplete') continue
      expect(result.needs).toBeGreaterThan(length)
      expect(result.needs).toBeLessThanOrEqual(captured.length)
    }
  })

  test.each([1, 2, 3, 4, 5, 7, 100, 500])('reads the same from records of %i bytes', (size) => {
    const bytes = fragmented(captured, size)
    expect(readClientHello(bytes)).toEqual(readClientHello(captured))
    expect(readClientHello(bytes.subarray(0, -1)).status).toBe('incomplete')
  })

  test('is not disturbed by what follows', () => {
    expect(readClientHello(Buffer.concat([captured, Buffer.from('more')]))).toEqual(readClientHello(captured))
  })

  test('that waits for what it needs is read in few steps even from one-byte records', () => {
    const bytes = fragmented(captured, 1)
    let have = 0
    let steps = 0
    for (let result = readClientHello(bytes.subarray(0, 0)); result.status === 'incomplete'; steps++) {
      have = result.needs
      result = readClientHello(bytes.subarray(0, have))
    }
    expect(have).toBe(bytes.length)
    expect(steps).toBeLessThan(100)
  })
})

describe('a hostile ClientHello', () => {
  test('in thousands of one-byte records, read again at each byte, costs little', () => {
    const bytes = fragmented(handmade(extension(0xfafa, Buffer.alloc(61_000))), 1).subarray(0, 24_000)
    const time = processorTime(() => {
      for (let length = 1; length < bytes.length; length++) readClientHello(bytes.subarray(0, length))
    })
    expect(time).toBeLessThan(1000)
  })
})

describe('the server name', () => {
  const nameOf = (bytes: Buffer) => {
    const result = readClientHello(bytes)
    return result.status === 'hello' ? result.serverName : result
  }

  test.each([
    ['A.Test', 'a.test'],
    ['a.test.', 'a.test'],
    ['localhost', 'localhost'],
    ['my_service', 'my_service'],
    ['xn--bcher-kva.test', 'xn--bcher-kva.test'],
    ['1.a', '1.a'],
    [`${'a'.repeat(63)}.test`, `${'a'.repeat(63)}.test`],
  ])('%s is %s', (sent, read) => {
    expect(nameOf(handmade(serverName(sent)))).toBe(read)
  })

  test.each([
    '127.0.0.1',
    '::1',
    '127.1',
    '0x7f000001',
    '2130706433',
    'a..b',
    '.',
    '.a',
    'a..',
    '-a.test',
    'a-.test',
    'a b',
    'a/b',
    'a,b',
    '*.test',
    'é.test',
    'a\r\nb',
    `${'a'.repeat(64)}.test`,
    `${'a.'.repeat(126)}ab`,
  ])('%j is no host name: none', (sent) => {
    expect(nameOf(handmade(serverName(sent)))).toBeUndefined()
  })

  test.each([
    ['an empty one', serverName('')],
    ['one with a NUL', serverName('a.test\0.evil')],
    ['one longer than 255 bytes', serverName('a.'.repeat(128))],
    ['two in one list', extension(0, vector(2, hostName('a.test'), hostName('b.test')))],
    ['one of an unknown type', extension(0, vector(2, Buffer.from([1]), vector(2, Buffer.from('a'))))],
    ['an empty list', extension(0, vector(2))],
    ['an empty extension', extension(0)],
    ['bytes after the list', extension(0, vector(2, hostName('a.test')), Buffer.from([0]))],
    ['a length past the end', extension(0, Buffer.from([0, 9, 0, 0, 6, 97, 98]))],
  ])('%s ends the connection, as in OpenSSL', (_, bytes) => {
    expect(readClientHello(handmade(bytes)).status).toBe('not_tls')
  })

  test('is absent without extensions', () => {
    expect(readClientHello(handmade())).toEqual({
      status: 'hello',
      serverName: undefined,
      sessionTicket: undefined,
    })
  })

  test('twice is refused', () => {
    expect(readClientHello(handmade(serverName('a.test'), serverName('b.test')))).toEqual({
      status: 'not_tls',
      reason: 'extension 0 is there twice',
    })
  })
})

describe('what is no ClientHello', () => {
  test.each(['GET / HTTP/1.1\r\n', 'POST /', 'OPTIONS * HTTP/1.1', 'PROPFIND /x', 'PRI * HTTP/2.0'])(
    '%j is plain HTTP',
    (text) => {
      expect(readClientHello(Buffer.from(text))).toEqual({ status: 'plain_http' })
    },
  )

  test.each(['G', 'GET', 'OPTIONS'])('%j may become plain HTTP', (text) => {
    expect(readClientHello(Buffer.from(text))).toEqual({ status: 'incomplete', needs: text.length + 1 })
  })

  test.each([
    ['an SSH banner', Buffer.from('SSH-2.0-OpenSSH\r\n')],
    ['lower-case text', Buffer.from('get / HTTP/1.1')],
    ['capitals without end', Buffer.from('A'.repeat(30))],
    ['an SSLv2 hello', Buffer.from('802e0100020015000000100100800200800300800400800500800600', 'hex')],
    ['a TLS alert', Buffer.from('15030100020228', 'hex')],
    ['a record of version 2', Buffer.from('1602', 'hex')],
    ['an empty record', Buffer.from('1603010000', 'hex')],
    ['a record that is too long', Buffer.from('1603014001', 'hex')],
    ['a ServerHello', Buffer.from('160301000402000000', 'hex')],
    ['a hello of 16 MB', Buffer.from('160301000401ffffff', 'hex')],
    ['another record type after the first fragment', Buffer.from('1603010001011703010001', 'hex')],
    ['an empty hello', Buffer.from('160301000401000000', 'hex')],
  ])('%s is not TLS', (_, bytes) => {
    expect(readClientHello(bytes).status).toBe('not_tls')
  })

  test('a hello longer than the bound is refused as soon as it says so', () => {
    const big = fragmented(
      handmade(extension(0xfafa, Buffer.alloc(40_000)), extension(0xfbfb, Buffer.alloc(25_480))),
      16_000,
    )
    expect(big.length).toBeGreaterThan(MAX_CLIENT_HELLO)
    expect(readClientHello(big).status).toBe('not_tls')
    expect(readClientHello(big.subarray(0, MAX_CLIENT_HELLO)).status).toBe('not_tls')
    expect(readClientHello(fragmented(handmade(extension(0xfafa, Buffer.alloc(60_000))), 16_000)).status).toBe('hello')
  })

  test('a hello in thousands of records is refused', () => {
    const bytes = fragmented(handmade(extension(0xfafa, Buffer.alloc(8_000))), 1)
    expect(readClientHello(bytes)).toEqual({ status: 'not_tls', reason: expect.stringContaining('records') })
  })

  test('never throws, and asks for more than it has, whatever the bytes', () => {
    const check = (result: ClientHelloResult, bytes: Uint8Array) => {
      if (result.status === 'incomplete') expect(result.needs).toBeGreaterThan(bytes.length)
      if (result.status === 'hello' && result.serverName !== undefined)
        expect(result.serverName).toMatch(/^[a-z0-9_.-]+$/)
    }
    const changes = fc.array(fc.tuple(fc.nat(captured.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 })
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), changes, fc.nat(captured.length), (tail, edits, cut) => {
        const mutated = Buffer.from(captured)
        for (const [position, byte] of edits) mutated[position] = byte
        for (const bytes of [tail, Buffer.concat([Buffer.from([22, 3, 1]), tail]), mutated, mutated.subarray(0, cut)]) {
          check(readClientHello(Buffer.from(bytes)), bytes)
        }
      }),
      { numRuns: 2000 },
    )
  })
})
