import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import type { Seen } from '../support/backend.ts'
import type { Gateway } from '../support/gateway.ts'
import { makeScene, type Scene } from '../support/scene.ts'

let scene: Scene
let gateway: Gateway

beforeAll(async () => {
  scene = await makeScene()
  gateway = await scene.start({
    identity_headers: { VERIFIED: 'verify', DN: 'subject_dn', 'X-Client-Cert': 'escaped_cert', 'X-Who': 'subject_dn' },
  })
})

beforeEach(() => scene.backend.reset())

/** Sends one request with these header lines and returns how the backend saw it; undefined where the gateway refused. */
async function send(lines: string, withCertificate = false, start = 'GET / HTTP/1.1'): Promise<Seen | undefined> {
  const request = `${start}\r\nHost: localhost\r\nConnection: close\r\n${lines}\r\n`
  const [answer] = await gateway.talk(request, withCertificate ? { as: scene.ada } : {})
  if (answer?.status !== 200) expect(answer?.status).toBe(400)
  return scene.backend.seen[0]
}

/** Every header of the request that a backend could take for one of the given name: CGI and its kin fold case, `-`, `_` and `.`. */
function takenFor(seen: Seen, name: string): string[] {
  const fold = (text: string) => text.toLowerCase().replace(/[^a-z0-9]/g, '_')
  return seen.headers.filter(([key]) => fold(key) === fold(name)).map(([, value]) => value)
}

const SPELLINGS = [
  'VERIFIED',
  'verified',
  'Verified',
  'DN',
  'dn',
  'Dn',
  'X-Who',
  'x-who',
  'X_Who',
  'X_WHO',
  'x.who',
  'X-Client_Cert',
  'X_CLIENT_CERT',
]

describe.each([
  ['without a certificate', false],
  ['with a certificate', true],
])('%s', (_name, withCertificate) => {
  const honest: Record<string, string[]> = withCertificate
    ? {
        VERIFIED: ['SUCCESS'],
        DN: ['CN=ada'],
        'X-Who': ['CN=ada'],
        'X-Client-Cert': [expect.stringMatching(/^-----BEGIN%20/) as never],
      }
    : { VERIFIED: ['NONE'], DN: [], 'X-Who': [], 'X-Client-Cert': [] }

  const expectHonest = (seen: Seen | undefined) => {
    if (seen === undefined) throw new Error('the request did not arrive')
    for (const [name, values] of Object.entries(honest)) expect([name, takenFor(seen, name)]).toEqual([name, values])
    expect(JSON.stringify(seen.rawHeaders)).not.toContain('forged')
  }

  test.each(SPELLINGS)('%s from the client never arrives', async (name) => {
    expectHonest(await send(`${name}: forged\r\n`, withCertificate))
  })
  test('nor doubled, in different spellings', async () => {
    expectHonest(
      await send(
        'VERIFIED: forged\r\nverified: forged\r\nDN: forged\r\nX_Who: forged\r\nX-Who: forged\r\n',
        withCertificate,
      ),
    )
  })
  test('nor with blanks around the value, or empty', async () => {
    expectHonest(await send('VERIFIED:forged\r\nDN: \t forged \t\r\nX-Who:\r\n', withCertificate))
  })
  test.each([
    'Connection: VERIFIED\r\nConnection: DN, X-Who\r\n',
    'Connection: verified, dn, x-who, x-client-cert\r\n',
    'Connection: close, X-WHO,\tVerified , ,DN\r\n',
    'Connection: keep-alive, VERIFIED\r\nVERIFIED: forged\r\n',
  ])('naming ours in Connection removes nothing of ours: %j', async (lines) => {
    expectHonest(await send(lines, withCertificate))
  })
  test('nor in trailers', async () => {
    const lines = 'Transfer-Encoding: chunked\r\nTrailer: VERIFIED, DN, X-Who\r\n'
    const body = '2\r\nhi\r\n0\r\nVERIFIED: forged\r\nDN: forged\r\nX_Who: forged\r\nX-Harmless: yes\r\n\r\n'
    const request = `POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n${lines}\r\n${body}`
    await gateway.talk(request, withCertificate ? { as: scene.ada } : {})
    const [seen] = scene.backend.seen
    expectHonest(seen)
    expect(seen?.body.toString()).toBe('hi')
    expect(JSON.stringify(seen?.trailers)).not.toMatch(/verified|dn|who/i)
  })
  test('nor behind as many other headers as a request may have', async () => {
    const many = Array.from({ length: 196 }, (_, i) => `x-${i}: a\r\n`).join('')
    const seen = await send(`${many}VERIFIED: forged\r\nDN: forged\r\n`, withCertificate)
    expectHonest(seen)
    expect(seen?.headers).toContainEqual(['x-195', 'a'])
  })
})

test.each([
  'Client-Cert',
  'Client-Cert-Chain',
  'X-SSL-Client-Verify',
  'X-SSL-Client-DN',
  'X-Ssl-Client-Cert',
  'ssl-client-verify',
  'SSL_CLIENT_VERIFY',
  'ssl-client-subject-dn',
  'X-Forwarded-Client-Cert',
  'X-Forwarded-Tls-Client-Cert',
  'X-Forwarded-Tls-Client-Cert-Info',
  'X-Forwarded-User',
  'X-Consumer-Username',
  'X-Consumer-ID',
  'X-Credential-Identifier',
  'X-Client-Cert-Dn',
  'X-Amzn-Mtls-Clientcert',
  'Remote-User',
  'X-Remote-User',
  'X-Auth-Request-User',
  'Cf-Client-Cert-Sha256',
  'X-MS-CLIENT-PRINCIPAL-NAME',
  'X-Goog-Authenticated-User-Email',
  'Tailscale-User-Login',
])("another gateway's %s never arrives either", async (name) => {
  const seen = await send(`${name}: forged\r\n`)
  expect(JSON.stringify(seen?.rawHeaders)).not.toContain('forged')
  expect(seen).toBeDefined()
})

test.each(['__proto__', 'constructor', 'hasOwnProperty', 'toString'])(
  'a header named %s does no harm',
  async (name) => {
    const seen = await send(`${name}: x\r\nX-Other: kept\r\n`, true)
    expect(seen?.header('X-Other')).toEqual(['kept'])
    expect(seen?.header('VERIFIED')).toEqual(['SUCCESS'])
  },
)

test('on an upgrade', async () => {
  scene.backend.upgrade = (_request, socket) =>
    socket.end('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
  const lines =
    'Connection: Upgrade, VERIFIED\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'
  await gateway.talk(
    `GET / HTTP/1.1\r\nHost: localhost\r\n${lines}VERIFIED: forged\r\nDN: forged\r\nx_who: forged\r\n\r\n`,
    { as: scene.ada },
  )
  const [seen] = scene.backend.seen
  expect(seen && takenFor(seen, 'VERIFIED')).toEqual(['SUCCESS'])
  expect(seen && takenFor(seen, 'DN')).toEqual(['CN=ada'])
  expect(seen && takenFor(seen, 'X-Who')).toEqual(['CN=ada'])
})

test('a response of the backend does not tell the client who it was taken for', async () => {
  scene.backend.respond = (_request, response) => {
    response.writeHead(200, { VERIFIED: 'SUCCESS', DN: 'CN=leak', 'Client-Cert': ':leak:', 'X-Other': 'kept' })
    response.end('ok')
  }
  const { headers } = await gateway.get('/')
  expect(headers['x-other']).toBe('kept')
  expect(JSON.stringify(headers)).not.toContain('leak')
  expect(headers).not.toHaveProperty('verified')
})
