import { describe, expect, test } from '@jest/globals'
import { GatewayError } from '../../../src/errors.ts'
import { type AccessEntry, createAccessLog, withoutSecrets } from '../../../src/log/access-log.ts'
import { fakeCertificate, fakeConnection } from '../../support/fake-connection.ts'
import fc from '../../support/random.ts'

function lineOf(entry: Partial<AccessEntry>): string {
  const lines: string[] = []
  createAccessLog((line) => lines.push(line)).write({ ...ENTRY, ...entry })
  expect(lines).toHaveLength(1)
  return lines[0] as string
}

/** C0, DEL, C1, and what JavaScript takes for the end of a line. */
const CONTROLS = `${String.fromCharCode(...Array.from({ length: 0xa0 }, (_, i) => i))}\u2028\u2029`

const ENTRY: AccessEntry = {
  id: 'req-1',
  connection: fakeConnection(),
  request: {
    method: 'GET',
    url: '/a?b=c',
    httpVersion: '1.1',
    rawHeaders: ['Host', 'api.test', 'user-agent', 'curl/8'],
  },
  route: undefined,
  user: undefined,
  service: undefined,
  target: undefined,
  upstreamStatus: undefined,
  upstreamTime: undefined,
  attempts: 0,
  status: 404,
  bytesReceived: 10,
  bytesSent: 20,
  duration: 1.23456,
  error: undefined,
  termination: undefined,
}

describe('the access log', () => {
  test('tells everything about a request that was forwarded', () => {
    const connection = fakeConnection({
      certificate: fakeCertificate(),
      verification: { result: 'FAILED', reason: 'certificate has expired', code: 'CERT_HAS_EXPIRED' },
      resumed: true,
    })
    const forwarded = {
      route: { name: 'r' },
      service: 's',
      target: '10.0.0.1:443',
      upstreamStatus: 200,
      upstreamTime: 4.5678,
    }
    expect(JSON.parse(lineOf({ connection, ...forwarded, attempts: 2, status: 200 }))).toEqual({
      level: 'info',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      msg: 'request',
      request_id: 'req-1',
      connection_id: '0123456789abcdef',
      remote_addr: '192.0.2.1',
      remote_port: 40_000,
      tls: { version: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384', resumed: true, server_name: 'api.test' },
      policy: 'policy',
      verify: 'FAILED',
      verify_reason: 'certificate has expired',
      verify_code: 'CERT_HAS_EXPIRED',
      subject: 'CN=ada,O=Foo\\, Inc',
      issuer: 'CN=root',
      serial: '00AB',
      fingerprint: 'b'.repeat(64),
      method: 'GET',
      host: 'api.test',
      user_agent: 'curl/8',
      path: '/a?b=c',
      protocol: 'HTTP/1.1',
      status: 200,
      bytes_received: 10,
      bytes_sent: 20,
      duration_ms: 1.235,
      route: 'r',
      service: 's',
      target: '10.0.0.1:443',
      upstream_status: 200,
      upstream_time_ms: 4.568,
      attempts: 2,
    })
  })

  test('tells only the beginning of names and numbers that a stranger has made as long as he could', () => {
    const long = 'x'.repeat(30_000)
    const told = (subject: string) => {
      const certificate = fakeCertificate({ subject, issuer: long, serial: long })
      return JSON.parse(lineOf({ connection: fakeConnection({ certificate }) }))
    }
    const begins = `${'x'.repeat(1024)}…`
    expect(told(long)).toMatchObject({ subject: begins, issuer: begins, serial: begins, fingerprint: 'b'.repeat(64) })
    expect(told('y'.repeat(1024)).subject).toBe('y'.repeat(1024))
  })

  test('tells exactly why a request was refused, to the operator only', () => {
    const cause = Object.assign(new Error('connect ECONNREFUSED 10.0.0.1:443'), { code: 'ECONNREFUSED' })
    const error = new GatewayError('GW_UPSTREAM_CONNECT', 'no target answered', { cause })
    expect(JSON.parse(lineOf({ error, termination: 'upstream' }))).toMatchObject({
      code: 'GW_UPSTREAM_CONNECT',
      detail: 'no target answered',
      cause: 'ECONNREFUSED: connect ECONNREFUSED 10.0.0.1:443',
      termination: 'upstream',
      verify: 'NONE',
    })
  })

  test('a time is that of the line, to the millisecond', () => {
    const before = Date.now()
    const { time } = JSON.parse(lineOf({}))
    expect(Date.parse(time)).toBeGreaterThanOrEqual(before)
    expect(Date.parse(time)).toBeLessThanOrEqual(Date.now())
  })

  test('bytes that never became a request have a line too', () => {
    const lines: string[] = []
    const error = new GatewayError('GW_PLAIN_HTTP', 'GET / on the TLS port')
    const refusal = { id: 'req-2', error, connection: undefined, remoteAddress: '192.0.2.7', remotePort: 5 }
    createAccessLog((line) => lines.push(line)).refused(refusal)
    expect(JSON.parse(lines.join(''))).toMatchObject({
      request_id: 'req-2',
      remote_addr: '192.0.2.7',
      remote_port: 5,
      status: 400,
      code: 'GW_PLAIN_HTTP',
      detail: 'GET / on the TLS port',
    })
  })

  test('writes nothing when it is off', () => {
    expect(() => createAccessLog(undefined).write(ENTRY)).not.toThrow()
  })

  test('no header but Host and User-Agent is written, and of several only the first', () => {
    const rawHeaders = ['Authorization', 'Bearer x', 'Cookie', 'a=x', 'Host', 'one', 'HOST', 'two', 'User-Agent', 'u']
    const line = lineOf({ request: { ...ENTRY.request, rawHeaders } })
    expect(JSON.parse(line)).toMatchObject({ host: 'one', user_agent: 'u' })
    expect(line).not.toMatch(/Bearer|a=x|two/)
  })

  test('nothing that a client or a certificate holds can begin another line or another field', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const connection = fakeConnection({
          serverName: text,
          certificate: fakeCertificate({ subject: text }),
          verification: { result: 'FAILED', reason: text, code: 'X' },
        })
        const request = {
          method: text,
          url: `/${text}`,
          httpVersion: '1.1',
          rawHeaders: ['Host', text, 'User-Agent', text],
        }
        const error = new GatewayError('GW_BAD_REQUEST', text, { cause: new Error(text) })
        const line = lineOf({ id: text, connection, request, error, route: { name: text }, target: text })
        expect(line).toMatch(/^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*\n$/)
        expect(JSON.parse(line)).toMatchObject({
          request_id: text,
          host: text,
          user_agent: text,
          status: 404,
          detail: text,
        })
      }),
      { examples: [[CONTROLS]] },
    )
  })
})

test.each([
  ['/a', '/a'],
  ['/token=1', '/token=1'],
  ['/a?page=2&sort=name', '/a?page=2&sort=name'],
  ['/a?access_token=x&page=2', '/a?access_token=***&page=2'],
  ['/a?Api-Key=x&X-Amz-Signature=y&sig=z&code=c', '/a?Api-Key=***&X-Amz-Signature=***&sig=***&code=***'],
  ['/a?password=p?q=r', '/a?password=***'],
  ['/a?token', '/a?token'],
  ['/a?q=token', '/a?q=token'],
  ['/a?%61pikey=x&pass%77ord=y&%zz=1', '/a?%61pikey=***&pass%77ord=***&%zz=1'],
])('the target %s is logged as %s', (target, logged) => {
  expect(withoutSecrets(target)).toBe(logged)
})
