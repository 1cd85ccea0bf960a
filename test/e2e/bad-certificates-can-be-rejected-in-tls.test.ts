import { beforeAll, describe, expect, test } from '@jest/globals'
import { run } from '../support/children.ts'
import type { Gateway } from '../support/gateway.ts'
import { authority, type Issued, selfSigned } from '../support/pki.ts'
import { listenerOf, makeScene, type Scene } from '../support/scene.ts'
import { waitFor } from '../support/wait.ts'

let scene: Scene
let gateway: Gateway
const stranger = authority('strangers').client('mallory')

beforeAll(async () => {
  scene = await makeScene()
  const reject = { ssl_verify_failure: 'reject' }
  gateway = await scene.start(
    listenerOf(
      scene.server({ ...reject, ssl_verify_client: 'on' }),
      scene.server({ ...reject, server_names: ['optional.test'] }),
      scene.server({ ...reject, server_names: ['no-ca.test'], ssl_verify_client: 'optional_no_ca' }),
      scene.server({
        ...reject,
        server_names: ['named.test'],
        ssl_verify_client: 'on',
        ssl_verify_allow: [{ subject: { CN: 'ada' } }],
      }),
      scene.server({ server_names: ['respond.test'], ssl_verify_client: 'on' }),
    ),
  )
})

/** What `openssl s_client` sees: the status line of the answer, or the number of the alert, or that the connection just ended. */
async function outcome(host: string, tls: string, as?: Issued): Promise<string> {
  const files = as?.files()
  const { stdout, stderr } = await run(
    'openssl',
    [
      ...['s_client', '-connect', `127.0.0.1:${gateway.port}`, '-servername', host, `-${tls}`, '-ign_eof', '-crlf'],
      ...(files ? ['-cert', files.certificate, '-key', files.key] : []),
    ],
    { input: `GET / HTTP/1.1\nHost: ${host}\nConnection: close\n\n` },
  )
  return /HTTP\/1\.1 (\d+)/.exec(stdout)?.[1] ?? /SSL alert number (\d+)/.exec(stderr)?.[0] ?? 'closed'
}

describe.each([
  ['tls1_2', 'SSL alert number 40'],
  ['tls1_3', 'SSL alert number 116'],
])('over %s', (tls, alert) => {
  test('a client without a certificate gets an alert', async () => {
    expect(await outcome('localhost', tls)).toBe(alert)
  })
  test('a client with a bad certificate is cut off without an answer', async () => {
    const old = scene.clients.client('old', { validFrom: -9, validUntil: -1 })
    for (const as of [stranger, old]) {
      for (const host of ['localhost', 'optional.test']) expect(await outcome(host, tls, as)).toBe('closed')
    }
    expect(await outcome('no-ca.test', tls, old)).toBe('closed')
  })
  test('so is one whose certificate does not meet the further demands', async () => {
    expect(await outcome('named.test', tls, scene.clients.client('bob'))).toBe('closed')
    expect(await outcome('named.test', tls, scene.ada)).toBe('200')
  })
  test('whoever may come in comes in', async () => {
    expect(await outcome('localhost', tls, scene.ada)).toBe('200')
    expect(await outcome('optional.test', tls)).toBe('200')
    expect(await outcome('no-ca.test', tls, selfSigned('self'))).toBe('200')
    expect(await outcome('respond.test', tls, stranger)).toBe('400')
  })
})

test('the log says why, once, and the metrics count it', async () => {
  const before = gateway.log.length
  await outcome('localhost', 'tls1_3', stranger)
  const { reason } = await gateway.logged({ msg: 'handshake failed', code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' })
  expect(reason).toContain('client certificate verify error: unable to verify the first certificate')
  await outcome('optional.test', 'tls1_3', stranger)
  await outcome('named.test', 'tls1_3', scene.clients.client('bob'))
  const failures = () => gateway.log.slice(before).filter(({ msg }) => msg === 'handshake failed')
  await waitFor('three lines', () => failures().length >= 3)
  expect(failures().map(({ code, server_name }) => [code, server_name])).toEqual([
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'localhost'],
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'optional.test'],
    ['CERT_NAME_NOT_ALLOWED', 'named.test'],
  ])
  const { text } = await gateway.getAdmin('/metrics')
  expect(text).toMatch(/sallyport_tls_client_verify_total\{result="untrusted"\} [1-9]/)
})
