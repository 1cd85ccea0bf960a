import { join } from 'node:path'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { explicit, implicit, sequence } from '../support/der.ts'
import { temporaryFile, temporaryFolder } from '../support/folder.ts'
import { type Gateway, sallyport } from '../support/gateway.ts'
import { sClient } from '../support/openssl.ts'
import { type Authority, authority, extension, type Issued } from '../support/pki.ts'
import { listenerOf, makeScene, type Scene } from '../support/scene.ts'

let scene: Scene
let gateway: Gateway
let second: Authority
let revoked: Issued
const extra = authority('extra')
const permitted = sequence(explicit(0, sequence(implicit(2, Buffer.from('example.test')))))
const constrained = authority('constrained', { extensions: [extension('2.5.29.30', permitted, true)] })

beforeAll(async () => {
  scene = await makeScene()
  second = authority('second')
  revoked = second.client('gone')
  const both = scene.clients.certificate + second.certificate + scene.clients.certificate
  const silent = { ssl_client_certificate: undefined, ssl_trusted_certificate: both }
  gateway = await scene.start(
    listenerOf(
      scene.server({ ssl_client_certificate: both }),
      scene.server({ server_names: ['trusted.test'], ...silent }),
      scene.server({ server_names: ['quiet.test'], ssl_client_certificate: both, send_ca_dn: 'off' }),
      scene.server({
        server_names: ['silent.test'],
        ssl_trusted_certificate: second.certificate,
        send_ca_dn: 'off',
        ssl_crl: scene.clients.crl([scene.clients.client('gone')]) + second.crl(),
      }),
      scene.server({
        server_names: ['beside.test'],
        ssl_trusted_certificate: second.certificate + scene.clients.certificate + constrained.certificate,
      }),
      scene.server({
        server_names: ['listed.test'],
        ssl_trusted_certificate: second.certificate,
        ssl_crl: scene.clients.crl() + second.crl([revoked]),
      }),
    ),
    // Whatever the operator adds to Node's own authorities must not become an authority for clients.
    { env: { NODE_EXTRA_CA_CERTS: temporaryFile('extra.pem', extra.certificate), NODE_OPTIONS: '--use-system-ca' } },
  )
})

async function announced(servername: string): Promise<readonly string[]> {
  const request = `GET / HTTP/1.1\r\nHost: ${servername}\r\nConnection: close\r\n\r\n`
  const { output } = await sClient({ port: gateway.port, tls: 'tls1_3', servername, request })
  const names = /Acceptable client certificate CA names\n((?:CN ?=.*\n)+)/.exec(output)?.[1] ?? ''
  if (names === '') expect(output).toContain('No client certificate CA names sent')
  return names.split('\n').filter((line) => line !== '')
}

test('the names of ssl_client_certificate are sent, each once', async () => {
  expect((await announced('localhost')).map((name) => name.replaceAll(' ', ''))).toEqual(['CN=clients', 'CN=second'])
})

describe.each(['trusted.test', 'quiet.test', 'silent.test'])('of %s', (host) => {
  test('no names are sent', async () => {
    expect(await announced(host)).toEqual([])
  })
  test('the authorities are trusted, and nobody else', async () => {
    const status = (as: Authority) => gateway.get('/', { as: as.client('ada'), host }).then((answer) => answer.status)
    expect(await status(scene.clients)).toBe(200)
    expect(await status(second)).toBe(200)
    expect(await status(extra)).toBe(400)
    expect(await status(scene.servers)).toBe(400)
  })
})

describe('beside those that are announced, others are trusted', () => {
  const host = 'beside.test'
  const outcome = async (as: Issued, at = host) => {
    const answer = await gateway.get('/', { host: at, as })
    return answer.status === 200 ? 200 : (await gateway.line(answer)).verify_reason
  }

  test('their names are not sent', async () => {
    expect((await announced(host)).map((name) => name.replaceAll(' ', ''))).toEqual(['CN=clients'])
  })

  test('who has a certificate of either is let in', async () => {
    expect(await outcome(scene.ada)).toBe(200)
    expect(await outcome(second.client('bob'))).toBe(200)
  })

  test('also below an intermediate that the client sends along, up to the depth', async () => {
    const one = second.authority('one')
    const two = one.authority('two')
    expect(await outcome(one.client('bob'))).toBe(200)
    expect(await outcome(two.client('bob'))).toBe('unable to get local issuer certificate')
  })

  test.each<[string, () => Issued, string]>([
    ['expired', () => second.client('old', { validFrom: -9, validUntil: -1 }), 'certificate has expired'],
    ['for servers', () => second.client('web', { purposes: ['serverAuth'] }), 'unsuitable certificate purpose'],
    [
      'issued by a client',
      () => second.clientThatSigns('ada').client('eve'),
      'unspecified certificate verification error',
    ],
    ['of a stranger with the name', () => authority('second').client('eve'), 'unable to verify the first certificate'],
    ['of nobody', () => extra.client('eve'), 'unable to verify the first certificate'],
  ])('one that is %s is refused', async (_what, as, reason) => {
    expect(await outcome(as())).toBe(reason)
  })

  test('an authority with name constraints lets those in whom it may certify', async () => {
    expect(await outcome(constrained.client('bob', { hosts: ['bob.example.test'] }))).toBe(200)
  })

  test('and nobody else, which inspect explains', async () => {
    const as = constrained.client('eve', { hosts: ['eve.evil.test'] })
    expect(await outcome(as)).toBe('unspecified certificate verification error')
    const { stdout } = await sallyport(['inspect', '--json', '-c', gateway.configFile as string, '-'], {
      input: as.chain,
    })
    const { servers } = JSON.parse(stdout) as { servers: { server_names: string[]; verified: string }[] }
    expect(servers.find(({ server_names }) => server_names.includes(host))?.verified).toMatch(/^FAILED:unspecified/)
  })

  test('lists are looked at', async () => {
    expect(await outcome(second.client('bob'), 'listed.test')).toBe(200)
    expect(await outcome(revoked, 'listed.test')).toBe('certificate revoked')
  })

  test.each(['tls1_2', 'tls1_3'] as const)('a session goes on over %s', async (tls) => {
    const { certificate, key } = second.client('bob').files()
    const keep = join(temporaryFolder(), 'session.pem')
    const request = `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`
    const options = { port: gateway.port, tls, servername: host, request }
    const first = await sClient({ ...options, as: { certificate, key }, keep })
    const again = await sClient({ ...options, resume: keep })
    expect([first, again].map(({ resumed, answers }) => [resumed, answers[0]?.status])).toEqual([
      [false, 200],
      [true, 200],
    ])
  })

  test('a stranger gains nothing by many certificates of one name', async () => {
    const [even, odd] = [authority('even'), authority('odd')]
    const tower = Array.from({ length: 20 }, () => [even.authority('odd'), odd.authority('even')]).flat()
    const chain = tower.map(({ certificate }) => certificate).join('')
    const { certificate, key } = even.client('mallory')
    const as = Object.assign(even.client('mallory'), { certificate, key, chain: certificate + chain })
    expect(await outcome(as)).toMatch(/unable to|certificate chain/)
  })
})
