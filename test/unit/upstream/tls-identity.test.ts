import type { AddressInfo, LookupFunction, Socket } from 'node:net'
import { createSecureContext, createServer, type TLSSocket, type TlsOptions } from 'node:tls'
import { describe, expect, jest, test } from '@jest/globals'
import { readCertificates } from '../../../src/tls-cert-utils/certificates.ts'
import type { RevocationFinding } from '../../../src/tls-cert-utils/revocation.ts'
import { UpstreamRevocation } from '../../../src/upstream/revocation.ts'
import { createConnector, type UpstreamTls } from '../../../src/upstream/tls-identity.ts'
import { whenFileEnds } from '../../support/cleanup.ts'
import { authority, type Issued } from '../../support/pki.ts'
import { pause, waitFor, within } from '../../support/wait.ts'
import { startTcp } from './support.ts'

const root = authority('root')
const clients = authority('clients')
const own = clients.client('gateway')

function identity(fields: Partial<UpstreamTls> = {}, trusted = root.certificate): UpstreamTls {
  const context = createSecureContext({ ca: [trusted], cert: own.chain, key: own.key })
  return {
    identity: 'test',
    context,
    verifyName: 'localhost',
    verifyDepth: 1,
    verify: true,
    revocation: undefined,
    ...fields,
  }
}

interface Upstream {
  readonly port: number
  readonly accepted: TLSSocket[]
}

async function upstreamWith(certificate: Issued, options: TlsOptions = {}): Promise<Upstream> {
  const accepted: TLSSocket[] = []
  const server = createServer({ cert: certificate.chain, key: certificate.key, ...options }, (socket) => {
    accepted.push(socket.on('error', () => {}))
    // Session tickets of TLS 1.3 come with what the server sends first.
    socket.write('hello')
  })
  server.on('tlsClientError', () => {})
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  whenFileEnds(() => {
    for (const socket of accepted) socket.destroy()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return { port, accepted }
}

type Outcome = { readonly error: NodeJS.ErrnoException } | { readonly socket: TLSSocket }

function connectWith(connector: ReturnType<typeof createConnector>): Promise<Outcome> {
  const opened = new Promise<Outcome>((resolve) => {
    connector((error, socket) => resolve(error ? { error } : { socket: use(socket as Socket) as TLSSocket }))
  })
  return within(5, 'the outcome', opened)
}

function use(socket: Socket): Socket {
  whenFileEnds(() => socket.destroy())
  return socket.on('error', () => {}).resume()
}

async function outcome(port: number, tls: UpstreamTls, timeout = 5000): Promise<string> {
  const result = await connectWith(createConnector({ host: '127.0.0.1', port }, tls, timeout))
  return 'error' in result ? (result.error.code ?? result.error.message) : 'connected'
}

describe('the name', () => {
  test.each([
    ['that the certificate carries', 'localhost', 'connected'],
    ['that it does not carry', 'other.example', 'ERR_TLS_CERT_ALTNAME_INVALID'],
    ['an address among its addresses', '127.0.0.1', 'connected'],
    ['an address that is not', '127.0.0.2', 'ERR_TLS_CERT_ALTNAME_INVALID'],
  ])('%s', async (_case, verifyName, expected) => {
    const { port } = await upstreamWith(root.server('localhost'))
    expect(await outcome(port, identity({ verifyName }))).toBe(expected)
  })
  test('an address that stands among the DNS names is not an address', async () => {
    const { port } = await upstreamWith(root.server('localhost', { hosts: ['localhost'] }))
    expect(await outcome(port, identity({ verifyName: '127.0.0.1' }))).toBe('ERR_TLS_CERT_ALTNAME_INVALID')
  })
  test('is sent as SNI, an address is not', async () => {
    const { port, accepted } = await upstreamWith(root.server('localhost'))
    await outcome(port, identity())
    await outcome(port, identity({ verifyName: '127.0.0.1' }))
    await waitFor('both connections', () => accepted.length === 2)
    expect(accepted.map(({ servername }) => servername)).toEqual(['localhost', false])
  })
  test('that ends with the dot of a whole name is sent and compared without it', async () => {
    const { port, accepted } = await upstreamWith(root.server('localhost'))
    expect(await outcome(port, identity({ verifyName: 'localhost.' }))).toBe('connected')
    expect(await outcome(port, identity({ verifyName: 'other.example.' }))).toBe('ERR_TLS_CERT_ALTNAME_INVALID')
    await waitFor('the connection', () => accepted.length === 1)
    expect(accepted[0]?.servername).toBe('localhost')
  })
})

describe('the chain', () => {
  test('of another authority', async () => {
    const { port } = await upstreamWith(authority('other').server('localhost'))
    expect(await outcome(port, identity())).toMatch(/UNABLE_TO|SELF_SIGNED/)
  })
  test('of another authority, where nothing is verified', async () => {
    const { port } = await upstreamWith(authority('other').server('other.example'))
    expect(await outcome(port, identity({ verify: false }))).toBe('connected')
  })
  test('that has expired', async () => {
    const { port } = await upstreamWith(root.server('localhost', { validFrom: -9, validUntil: -1 }))
    expect(await outcome(port, identity())).toBe('CERT_HAS_EXPIRED')
  })
  test('of a client certificate', async () => {
    const { port } = await upstreamWith(root.client('localhost', { hosts: ['localhost'] }))
    expect(await outcome(port, identity())).toBe('INVALID_PURPOSE')
  })
  test.each([
    [0, 0, 'connected'],
    [0, 1, 'connected'],
    [1, 0, 'CERT_CHAIN_TOO_LONG'],
    [1, 1, 'connected'],
    [2, 1, 'CERT_CHAIN_TOO_LONG'],
    [2, 2, 'connected'],
  ])('with %i intermediates, where verifyDepth is %i: %s', async (count, verifyDepth, expected) => {
    let issuer = root
    for (let i = 0; i < count; i++) issuer = issuer.authority(`intermediate ${i}`)
    const { port } = await upstreamWith(issuer.server('localhost'))
    expect(await outcome(port, identity({ verifyDepth }))).toBe(expected)
  })
})

test('our certificate is shown', async () => {
  const { port, accepted } = await upstreamWith(root.server('localhost'), {
    requestCert: true,
    ca: clients.certificate,
  })
  expect(await outcome(port, identity())).toBe('connected')
  const shown = await waitFor('the connection', () => accepted[0])
  expect(shown.getPeerX509Certificate()?.subject).toBe('CN=gateway')
})

describe.each(['TLSv1.2', 'TLSv1.3'] as const)('a session of %s', (version) => {
  const versions = { minVersion: version, maxVersion: version }
  async function reused(connector: ReturnType<typeof createConnector>): Promise<boolean | string> {
    const result = await connectWith(connector)
    if ('error' in result) return result.error.code ?? ''
    await within(5, 'the ticket', new Promise((resolve) => result.socket.once('data', resolve)))
    const answer = result.socket.isSessionReused()
    result.socket.end()
    return answer
  }

  test('is resumed by the same connector only', async () => {
    const { port } = await upstreamWith(root.server('localhost'), versions)
    const connector = createConnector({ host: '127.0.0.1', port }, identity(), 5000)
    expect([await reused(connector), await reused(connector)]).toEqual([false, true])
    expect(await reused(createConnector({ host: '127.0.0.1', port }, identity(), 5000))).toBe(false)
  })

  test.each([
    ['five minutes after the handshake that began it', 30, 300_000],
    ['when the certificate expires', 2 / 24 / 60, 120_000],
  ])('and those that come from it end %s', async (_when, validFor, milliseconds) => {
    const { port } = await upstreamWith(root.server('localhost', { validUntil: validFor }), versions)
    const connector = createConnector({ host: '127.0.0.1', port }, identity(), 5000)
    const start = Date.now()
    const clock = jest.spyOn(Date, 'now')
    try {
      expect([await reused(connector), await reused(connector)]).toEqual([false, true])
      // The certificate's dates have no parts of seconds.
      clock.mockImplementation(() => start + milliseconds - 20_000)
      expect(await reused(connector)).toBe(true)
      clock.mockImplementation(() => start + milliseconds + 20_000)
      expect(await reused(connector)).toBe(false)
    } finally {
      clock.mockRestore()
    }
  })

  test('is judged by the lists with the chain of the handshake that began it', async () => {
    const issuer = root.authority('department')
    const { port, accepted } = await upstreamWith(issuer.server('localhost'), versions)
    const judged: number[] = []
    let findings: RevocationFinding[] = []
    const judge = (chain: readonly unknown[]) => {
      judged.push(chain.length)
      return { findings, ignored: [], until: 0 }
    }
    const trusted = readCertificates(root.certificate)
    const revocation = new UpstreamRevocation({ judge }, { identity: '', trusted, onIgnored: () => {} })
    const connector = createConnector({ host: '127.0.0.1', port }, identity({ revocation }), 5000)
    expect([await reused(connector), await reused(connector)]).toEqual([false, true])
    findings = [{ code: 'CRL_HAS_EXPIRED', at: 0 }]
    expect([await reused(connector), await reused(connector)]).toEqual(['CRL_HAS_EXPIRED', 'CRL_HAS_EXPIRED'])
    expect(judged).toEqual([3, 3, 3, 3])
    findings = []
    expect(await reused(connector)).toBe(false)
    expect(accepted.at(-1)?.isSessionReused()).toBe(false)
  })

  test('of a peer that was refused is never offered again', async () => {
    const { port, accepted } = await upstreamWith(root.server('other.example'), versions)
    const connector = createConnector({ host: '127.0.0.1', port }, identity(), 5000)
    for (let i = 0; i < 3; i++) {
      expect(await reused(connector)).toBe('ERR_TLS_CERT_ALTNAME_INVALID')
      await pause(20)
    }
    expect(accepted.some((socket) => socket.isSessionReused())).toBe(false)
  })
})

describe('a handshake', () => {
  test('that never ends is ended after the timeout', async () => {
    const port = await startTcp(() => {})
    expect(await outcome(port, identity(), 100)).toBe('GW_UPSTREAM_TIMEOUT')
  })
  test('that the upstream cuts off', async () => {
    const port = await startTcp((socket) => socket.destroy())
    expect(await outcome(port, identity())).toBe('ECONNRESET')
  })
  test('with something else than TLS', async () => {
    const port = await startTcp((socket) => socket.end('SSH-2.0-OpenSSH_9\r\n'))
    expect(await outcome(port, identity())).toMatch(/^(ERR_SSL_|EPROTO)/)
  })
  test('with nobody', async () => {
    expect(await outcome(1, identity())).toBe('ECONNREFUSED')
  })
  test('says how it went exactly once', async () => {
    let calls = 0
    const port = await startTcp((socket) => socket.destroy())
    createConnector(
      { host: '127.0.0.1', port },
      identity(),
      50,
    )(() => {
      calls += 1
    })
    await pause(200)
    expect(calls).toBe(1)
  })
})

test('without TLS the socket is handed over as it is', async () => {
  const port = await startTcp((socket) => socket.write('plain'))
  const result = await connectWith(createConnector({ host: '127.0.0.1', port }, undefined, 5000))
  expect('socket' in result && result.socket.encrypted).toBeUndefined()
})

test.each([['TLS', identity()] as const, ['TCP', undefined] as const])(
  'over %s an address that was given up for the next is told',
  async (_kind, tls) => {
    const { port } = await upstreamWith(root.server('localhost'))
    const given: string[] = []
    const lookup: LookupFunction = (_name, _options, done) =>
      setImmediate(done, null, [
        { address: '127.0.0.2', family: 4 },
        { address: '127.0.0.1', family: 4 },
      ])
    const name = { lookup, unreachable: (address: string) => given.push(address) }
    expect(await connectWith(createConnector({ host: 'api.test', port }, tls, 5000, name))).toHaveProperty('socket')
    expect(given).toEqual(['127.0.0.2'])
  },
)
