import { describe, expect, test } from '@jest/globals'
import { type ProxyHeader, readProxyHeader } from '../../../src/listener/proxy-protocol.ts'
import fc from '../../support/random.ts'

const SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex')
const REST = Buffer.from('\x16\x03\x01what follows', 'latin1')

interface V2 {
  readonly command?: number
  readonly family?: number
  readonly body?: Buffer
  readonly length?: number
}

function v2({ command = 0x21, family = 0x11, body = IPV4, length = body.length }: V2 = {}): Buffer {
  return Buffer.concat([SIGNATURE, Buffer.from([command, family, length >> 8, length & 0xff]), body])
}

const IPV4 = Buffer.from('c0000207c633640a' + '1f90' + '01bb', 'hex')
const IPV6 = Buffer.concat([
  Buffer.from('20010db8000000000000000000000001', 'hex'),
  Buffer.alloc(16),
  Buffer.from('1f9001bb', 'hex'),
])
const CLIENT = { address: '192.0.2.7', port: 8080 }
const CLIENT6 = { address: '2001:db8::1', port: 8080 }

function line(text: string): Buffer {
  return Buffer.from(`${text}\r\n`, 'latin1')
}

function read(bytes: Buffer): { header: ProxyHeader; consumed: number } | number {
  const result = readProxyHeader(bytes)
  return typeof result === 'number' ? result : { header: result.outcome, consumed: result.consumed }
}

const HEADERS: [what: string, bytes: Buffer, source: object | undefined][] = [
  ['version 1 over IPv4', line('PROXY TCP4 192.0.2.7 198.51.100.10 8080 443'), CLIENT],
  ['version 1 over IPv6', line('PROXY TCP6 2001:DB8:0:0::1 ::1 8080 443'), CLIENT6],
  [
    'version 1 with the IPv4 address of a client as a dual-stack proxy sees it',
    line('PROXY TCP6 ::FFFF:c000:207 ::ffff:198.51.100.10 8080 443'),
    CLIENT,
  ],
  ['version 1 of nobody', line('PROXY UNKNOWN'), undefined],
  ['version 1 of nobody, with more', line('PROXY UNKNOWN ffff:: ffff:: 65535 65535'), undefined],
  ['version 2 over IPv4', v2(), CLIENT],
  ['version 2 over IPv6', v2({ family: 0x21, body: IPV6 }), CLIENT6],
  [
    'version 2 with the IPv4 address of a client as a dual-stack proxy sees it',
    v2({
      family: 0x21,
      body: Buffer.concat([Buffer.from('00000000000000000000ffffc0000207', 'hex'), IPV6.subarray(16)]),
    }),
    CLIENT,
  ],
  [
    'version 2 with extensions',
    v2({ body: Buffer.concat([IPV4, Buffer.from('02000361626304000100', 'hex')]) }),
    CLIENT,
  ],
  ['version 2 of the proxy itself', v2({ command: 0x20, family: 0, body: Buffer.alloc(0) }), undefined],
  ['version 2 of the proxy itself, with addresses', v2({ command: 0x20, body: Buffer.alloc(5) }), undefined],
  ['version 2 of an unspecified family', v2({ family: 0, body: Buffer.alloc(7) }), undefined],
  ['version 2 over a Unix socket', v2({ family: 0x31, body: Buffer.alloc(216) }), undefined],
]

describe('a PROXY header', () => {
  test.each(HEADERS)('%s', (_what, bytes, source) => {
    const whole = Buffer.concat([bytes, REST])
    expect(read(whole)).toEqual({ header: { status: 'header', source }, consumed: bytes.length })
  })
  test.each(HEADERS)('%s, byte by byte, waits for its end', (_what, bytes) => {
    for (let length = 1; length < bytes.length; length++) {
      const needed = read(bytes.subarray(0, length))
      expect(needed).toBeGreaterThan(length)
      expect(needed).toBeLessThanOrEqual(bytes.length)
    }
  })
})

describe('is refused', () => {
  test.each<[string, Buffer]>([
    ['what is no header', Buffer.from('\x16\x03\x01\x00\xa5', 'latin1')],
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\n')],
    ['a header in lower case', Buffer.from('proxy TCP4 ')],
    ['an unknown family', line('PROXY UDP4 192.0.2.7 198.51.100.10 8080 443')],
    ['an address of another family', line('PROXY TCP4 ::1 ::1 8080 443')],
    ['an address with leading zeros', line('PROXY TCP4 192.0.2.007 198.51.100.10 8080 443')],
    ['a name', line('PROXY TCP4 localhost 198.51.100.10 8080 443')],
    ['a zone', line('PROXY TCP6 fe80::1%eth0 ::1 8080 443')],
    ['a port that is none', line('PROXY TCP4 192.0.2.7 198.51.100.10 65536 443')],
    ['a port with a leading zero', line('PROXY TCP4 192.0.2.7 198.51.100.10 080 443')],
    ['a signed port', line('PROXY TCP4 192.0.2.7 198.51.100.10 +80 443')],
    ['two spaces', line('PROXY TCP4  192.0.2.7 198.51.100.10 8080 443')],
    ['a tab', line('PROXY TCP4\t192.0.2.7 198.51.100.10 8080 443')],
    ['something behind the ports', line('PROXY TCP4 192.0.2.7 198.51.100.10 8080 443 x')],
    ['a missing port', line('PROXY TCP4 192.0.2.7 198.51.100.10 8080')],
    ['a bare line end', Buffer.from(`PROXY TCP4 192.0.2.7 198.51.100.10 8080 443\n${'x'.repeat(80)}`)],
    ['a line without end', Buffer.from(`PROXY UNKNOWN ${'x'.repeat(100)}`)],
    ['controls behind UNKNOWN', line('PROXY UNKNOWN \0')],
    ['a signature with a wrong byte', Buffer.concat([SIGNATURE.subarray(0, 11), Buffer.from('x')])],
    ['version 3', v2({ command: 0x31 })],
    ['an unknown command', v2({ command: 0x22 })],
    ['datagrams', v2({ family: 0x12 })],
    ['addresses that are cut short', v2({ body: IPV4.subarray(0, 11) })],
    ['an extension that is cut short', v2({ body: Buffer.concat([IPV4, Buffer.from('0200046162', 'hex')]) })],
    ['a byte too many', v2({ body: Buffer.concat([IPV4, Buffer.alloc(1)]) })],
    ['a header without measure', v2({ length: 0xffff })],
  ])('%s', (_what, bytes) => {
    expect(read(bytes)).toMatchObject({ header: { status: 'invalid' } })
  })

  test('any bytes: never an exception, never an address that was not written, never without bound', () => {
    let found = 0
    const start = fc.constantFrom(Buffer.alloc(0), Buffer.from('PROXY TCP4 '), SIGNATURE, v2().subarray(0, 16))
    fc.assert(
      fc.property(start, fc.uint8Array({ maxLength: 300 }), (before, after) => {
        const bytes = Buffer.concat([before, after])
        const result = read(bytes)
        if (typeof result === 'number') {
          expect(result).toBeGreaterThan(bytes.length)
          expect(result).toBeLessThanOrEqual(16 + 16 * 1024)
        } else if (result.header.status === 'header') {
          expect(result.consumed).toBeLessThanOrEqual(bytes.length)
          const { source } = result.header
          if (!source) return
          found += 1
          expect(source).toEqual({ address: [...bytes.subarray(16, 20)].join('.'), port: bytes.readUInt16BE(24) })
        }
      }),
      { numRuns: 2000 },
    )
    expect(found).toBeGreaterThan(100)
  })
})
