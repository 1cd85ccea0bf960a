import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { type AddressInfo, connect as connectTcp, createServer } from 'node:net'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { run } from '../support/children.ts'
import { whenFileEnds } from '../support/cleanup.ts'
import { utcTime } from '../support/der.ts'
import { temporaryFile, temporaryFolder } from '../support/folder.ts'
import type { Gateway, LogLine } from '../support/gateway.ts'
import { type Responder, startResponder } from '../support/ocsp.ts'
import { authority, type Issued, selfSigned } from '../support/pki.ts'
import { listenerOf, makeScene, type Scene } from '../support/scene.ts'
import { waitFor } from '../support/wait.ts'

let scene: Scene
let gateway: Gateway
const stranger = authority('strangers').client('mallory')
let gone: Issued
let old: Issued
let early: Issued
let forServers: Issued
let odd: Issued
let bob: Issued
let lost: Issued
/** It revokes lost. The gateway remembers one of its answers. */
let responder: Responder
let replaceList: (renewed: string) => Promise<void>
const sessions: [tls: string, file: string][] = []
/** Offers of sessions of clients whose certificates end soon. */
let brief: (readonly [tls: string, offer: () => Promise<string>])[]

beforeAll(async () => {
  scene = await makeScene()
  const { clients } = scene
  old = clients.client('old', { validFrom: -9, validUntil: -1 })
  early = clients.client('early', { validFrom: 1, validUntil: 9 })
  forServers = clients.client('web', { purposes: ['serverAuth'] })
  odd = clients.client('odd', { dates: [utcTime('260101000000+0000'), utcTime('490101000000Z')] })
  gone = clients.client('gone')
  bob = clients.client('bob')
  lost = clients.client('lost')
  const reject = { ssl_verify_failure: 'reject' }
  const on = { ...reject, ssl_verify_client: 'on' }
  const list = temporaryFile('clients.crl', scene.clients.crl([gone]))
  responder = await startResponder(scene.clients, [scene.ada, bob, lost], { revoked: [lost] })
  gateway = await scene.start(
    listenerOf(
      scene.server({ ...on, ssl_crl: list, ssl_verify_depth: 2 }),
      scene.server({ ...reject, server_names: ['optional.test'] }),
      scene.server({ ...reject, server_names: ['no-ca.test'], ssl_verify_client: 'optional_no_ca' }),
      scene.server({ ...on, server_names: ['named.test'], ssl_verify_allow: [{ subject: { CN: 'ada' } }] }),
      scene.server({ ...on, server_names: ['pinned.test'], pinned_certs: ['0'.repeat(64)] }),
      scene.server({ ...on, server_names: ['stale.test'], ssl_crl: scene.clients.crl([], { nextUpdate: -0.5 }) }),
      scene.server({ ...on, server_names: ['nobody-to-ask.test'], ssl_ocsp: 'leaf' }),
      scene.server({
        ...on,
        server_names: ['asked.test'],
        ssl_ocsp: 'leaf',
        ssl_ocsp_cache: 1,
        ssl_ocsp_responder: responder.url,
      }),
      scene.server({
        ...on,
        ...{ server_names: ['no-tickets.test'], ssl_session_tickets: 'off' },
        ...{ ssl_ocsp: 'leaf', ssl_ocsp_cache: 1, ssl_ocsp_responder: responder.url },
      }),
      scene.server({ server_names: ['respond.test'], ssl_verify_client: 'on' }),
    ),
  )
  replaceList = async (renewed) => {
    writeFileSync(list, renewed)
    await gateway.logged({ msg: 'reloaded' })
  }
  brief = await briefSessions()
})

async function briefSessions(): Promise<typeof brief> {
  const soon = { validUntil: 6 / 86_400 }
  const clients = [scene.clients.client('brief', soon), scene.clients.authority('brief', soon).client('below')]
  const kept = ['tls1_3', 'tls1_2'].flatMap((tls) =>
    clients.map(async (as) => {
      const keep = join(temporaryFolder(), 'session.pem')
      const options = { as, host: 'optional.test' }
      expect(await outcome(tls, { ...options, more: ['-sess_out', keep] })).toBe('200')
      return [tls, () => outcome(tls, { ...options, more: ['-sess_in', keep] })] as const
    }),
  )
  return Promise.all(kept)
}

/** Passes bytes both ways, and tells the type of each TLS record of the gateway. */
async function relay(seen: (type: number) => void): Promise<number> {
  const server = createServer((client) => {
    const behind = connectTcp(gateway.port, '127.0.0.1')
    let bytes = Buffer.alloc(0)
    behind.on('data', (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk])
      while (bytes.length >= 5 && bytes.length >= 5 + bytes.readUInt16BE(3)) {
        seen(bytes.readUInt8(0))
        bytes = bytes.subarray(5 + bytes.readUInt16BE(3))
      }
    })
    client.pipe(behind).pipe(client)
    behind.once('close', () => client.end())
    for (const socket of [client, behind]) socket.on('error', () => {})
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  whenFileEnds(() => server.close())
  return (server.address() as AddressInfo).port
}

interface Connect {
  readonly port?: number
  readonly host?: string
  readonly as?: Issued | undefined
  readonly more?: readonly string[]
}

/** What `openssl s_client` sees: the status line of the answer, or the alert, or that the connection just ended. */
async function outcome(
  tls: string,
  { host = 'localhost', as, more = [], port = gateway.port }: Connect,
): Promise<string> {
  const files = as?.files()
  const { stdout, stderr } = await run(
    'openssl',
    [
      ...['s_client', '-connect', `127.0.0.1:${port}`, '-servername', host, `-${tls}`, '-ign_eof', '-crlf'],
      ...(files ? ['-cert', files.certificate, '-key', files.key, '-cert_chain', files.certificate] : []),
      ...more,
    ],
    { input: `GET / HTTP/1.1\nHost: ${host}\nConnection: close\n\n` },
  )
  const [, alert] = /:(?:\S+ )?alert ([a-z ]+):/i.exec(stderr) ?? []
  return /HTTP\/1\.1 (\d+)/.exec(stdout)?.[1] ?? alert ?? 'closed'
}

describe.each([
  ['tls1_2', 'handshake failure'],
  ['tls1_3', 'certificate required'],
])('over %s', (tls, missing) => {
  test('a client without a certificate gets an alert', async () => {
    expect(await outcome(tls, {})).toMatch(new RegExp(missing))
  })

  test.each<[string, string, () => Connect]>([
    ['a stranger', 'unknown ca', () => ({ as: stranger })],
    ['a stranger who need not have shown a certificate', 'unknown ca', () => ({ as: stranger, host: 'optional.test' })],
    ['one that signed itself', 'unknown ca', () => ({ as: selfSigned('self') })],
    ['an expired one', 'certificate expired', () => ({ as: old })],
    ['an expired one, of whatever authority', 'certificate expired', () => ({ as: old, host: 'no-ca.test' })],
    ['one that is not valid yet', 'bad certificate', () => ({ as: early })],
    ['a revoked one', 'certificate revoked', () => ({ as: gone })],
    [
      'one whose authority has let its list grow old',
      'certificate expired',
      () => ({ as: scene.ada, host: 'stale.test' }),
    ],
    ['one whose dates cannot be compared', 'bad certificate', () => ({ as: odd })],
    ['one for servers', 'unsupported certificate', () => ({ as: forServers, host: 'optional.test' })],
    ['one that is not called as allowed', 'access denied', () => ({ as: bob, host: 'named.test' })],
    ['one that is not pinned', 'access denied', () => ({ as: scene.ada, host: 'pinned.test' })],
  ])('%s: %s', async (_who, alert, connect) => {
    expect(await outcome(tls, connect())).toContain(alert)
  })

  test('a client of whom no responder can be asked: certificate unknown', async () => {
    expect(await outcome(tls, { as: scene.ada, host: 'nobody-to-ask.test' })).toContain('certificate unknown')
  })

  test('whoever may come in comes in', async () => {
    expect(await outcome(tls, { as: scene.ada })).toBe('200')
    expect(await outcome(tls, { host: 'optional.test' })).toBe('200')
    expect(await outcome(tls, { as: selfSigned('self'), host: 'no-ca.test' })).toBe('200')
    expect(await outcome(tls, { as: scene.ada, host: 'named.test' })).toBe('200')
    expect(await outcome(tls, { as: stranger, host: 'respond.test' })).toBe('400')
  })
})

test.each(['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256'])(
  'the alert can be read with %s',
  async (suite) => {
    expect(await outcome('tls1_3', { as: stranger, more: ['-ciphersuites', suite] })).toContain('unknown ca')
  },
)

test.each(['tls1_3', 'tls1_2'])(
  'nothing follows the alert over %s, since it would share its record number',
  async (tls) => {
    const records: number[] = []
    const port = await relay((type) => records.push(type))
    expect(await outcome(tls, { as: gone, port })).toContain('certificate revoked')
    expect(records.length).toBeGreaterThan(3)
    // TLS 1.3: ServerHello, ChangeCipherSpec, then encrypted: EncryptedExtensions, CertificateRequest, Certificate, CertificateVerify, Finished, and the alert.
    expect(records.join(' ')).toMatch(tls === 'tls1_3' ? /^22 20( 23){6}$/ : /^22( 22)* 21$/)
  },
)

describe('after a wait for a responder', () => {
  const asked = (tls: string, connect: Connect) => outcome(tls, { host: 'asked.test', ...connect })
  const forgetOthers = async (as: Issued) => {
    const before = responder.questions
    await asked('tls1_2', { as })
    await waitFor('a question', () => responder.questions > before)
  }

  test('a revoked client gets its alert over TLS 1.3, and nothing follows it', async () => {
    const records: number[] = []
    const port = await relay((type) => records.push(type))
    expect(await asked('tls1_3', { as: lost, port })).toContain('certificate revoked')
    expect(records.join(' ')).toMatch(/^22 20( 23){6}$/)
  })

  test('over TLS 1.2 its connection just ends: the last flight has been sent', async () => {
    const records: number[] = []
    const port = await relay((type) => records.push(type))
    await forgetOthers(bob)
    expect(await asked('tls1_2', { as: lost, port })).toBe('closed')
    expect(records).not.toContain(21)
  })

  test.each(['tls1_3', 'tls1_2'])('a good client is served over %s', async (tls) => {
    await forgetOthers(bob)
    expect(await asked(tls, { as: scene.ada })).toBe('200')
  })

  test('a server without session tickets refuses and serves alike', async () => {
    const host = 'no-tickets.test'
    expect(await outcome('tls1_3', { as: lost, host })).toContain('certificate revoked')
    for (const tls of ['tls1_3', 'tls1_2']) {
      await outcome(tls, { as: bob, host })
      expect(await outcome(tls, { as: scene.ada, host })).toBe('200')
    }
  })

  test('a good client gets its session tickets', async () => {
    const keep = join(temporaryFolder(), 'session.pem')
    await forgetOthers(bob)
    expect(await asked('tls1_3', { as: scene.ada, more: ['-sess_out', keep] })).toBe('200')
    expect(await asked('tls1_3', { as: scene.ada, more: ['-sess_in', keep] })).toBe('200')
    const resumed = ({ subject, tls }: LogLine) => subject === 'CN=ada' && (tls as { resumed?: boolean })?.resumed
    await waitFor('the line of the resumed session', () => gateway.log.some(resumed))
  })

  test('whoever is revoked meanwhile gets the alert in a resumed session of TLS 1.3', async () => {
    const keep = join(temporaryFolder(), 'session.pem')
    expect(await asked('tls1_3', { as: scene.ada, more: ['-sess_out', keep] })).toBe('200')
    await responder.stop()
    await responder.start([scene.ada])
    await forgetOthers(bob)
    expect(await asked('tls1_3', { as: scene.ada, more: ['-sess_in', keep] })).toContain('certificate revoked')
  })
})

test('a client that sends its request along with a bad certificate reaches nobody', async () => {
  scene.backend.reset()
  await outcome('tls1_3', { as: gone })
  await outcome('tls1_2', { as: gone })
  expect(scene.backend.seen).toEqual([])
})

test('the log says why, once, and the metrics count it', async () => {
  const before = gateway.log.length
  await outcome('tls1_3', { as: stranger })
  const { reason } = await gateway.logged({ msg: 'handshake failed', code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' })
  expect(reason).toContain('client certificate verify error: unable to verify the first certificate')
  await outcome('tls1_3', { as: stranger, host: 'optional.test' })
  await outcome('tls1_3', { as: bob, host: 'named.test' })
  await outcome('tls1_3', {})
  const failures = () => gateway.log.slice(before).filter(({ msg }) => msg === 'handshake failed')
  await waitFor('the last line', () => failures().at(-1)?.code === 'GW_CLIENT_CERTIFICATE_REQUIRED')
  const lines = failures().slice(-4)
  expect(lines.map(({ code, server_name }) => [code, server_name])).toEqual([
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'localhost'],
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'optional.test'],
    ['CERT_NAME_NOT_ALLOWED', 'named.test'],
    ['GW_CLIENT_CERTIFICATE_REQUIRED', 'localhost'],
  ])
  expect(lines.at(-1)?.reason).toContain('ssl_client_certificate')
  const { text } = await gateway.getAdmin('/metrics')
  expect(text).toMatch(/sallyport_tls_client_verify_total\{result="untrusted"\} [1-9]/)
})

describe('a session of a client of whom the list has grown too old to speak', () => {
  test.each(['tls1_3', 'tls1_2'])('%s: is resumed before', async (tls) => {
    const keep = join(temporaryFolder(), 'session.pem')
    expect(await outcome(tls, { as: bob, more: ['-sess_out', keep] })).toBe('200')
    expect(await outcome(tls, { more: ['-sess_in', keep] })).toBe('200')
    sessions.push([tls, keep])
  })
  test('is none any more: the client gets its alert in a full handshake', async () => {
    // It revokes whom it revoked before, so that sessions would be resumed.
    await replaceList(scene.clients.crl([gone], { nextUpdate: -0.5 }))
    for (const [tls, keep] of sessions) {
      expect(await outcome(tls, { as: bob, more: ['-sess_in', keep] })).toContain('certificate expired')
    }
  })
})

test.each(['tls1_3', 'tls1_2'])(
  '%s: a session whose certificate, or an issuer of it, has ended since is none: the client gets its alert in a full handshake',
  async (tls) => {
    for (const [, offer] of brief.filter(([version]) => version === tls)) {
      await waitFor('the end of the certificate', async () => {
        const told = await offer()
        if (told !== '200') expect(told).toContain('certificate expired')
        return told !== '200'
      })
    }
  },
)
