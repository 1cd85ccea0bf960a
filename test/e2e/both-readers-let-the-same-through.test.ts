// Plain requests are read without node:http, all others by it: what arrives behind us must not depend on who read it.
import { beforeAll, expect, test } from '@jest/globals'
import type { Gateway } from '../support/gateway.ts'
import fc from '../support/random.ts'
import type { RawConnection } from '../support/raw.ts'
import { type RawBackend, startRawBackend } from '../support/raw-backend.ts'
import { makeScene, type Scene } from '../support/scene.ts'
import { pause, waitFor } from '../support/wait.ts'

let scene: Scene
let upstream: RawBackend
let gateway: Gateway
/** Heads that arrived, without the id of each request. */
const arrived: string[] = []

beforeAll(async () => {
  scene = await makeScene()
  upstream = await startRawBackend(scene.inside.server('localhost'), (connection) => {
    if (!connection.received.endsWith('\r\n\r\n')) return
    arrived.push(connection.received.replace(/^X-Request-ID: .*\r\n/m, ''))
    connection.received = ''
    connection.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  })
  gateway = await scene.start({
    services: [{ name: 'api', url: upstream.url, routes: [{ name: 'all', paths: ['/'] }] }],
    identity_headers: { VERIFIED: 'verify', DN: 'subject_dn', 'X-Client-Cert': 'escaped_cert' },
    forwarded: 'on',
    log: { access_log: 'off' },
  })
})

const OURS = [
  'VERIFIED',
  'DN',
  'X-Client-Cert',
  'X-Forwarded-For',
  'X-Real-IP',
  'Forwarded',
  'Client-Cert',
  'Remote-User',
]
const fold = (name: string) => name.toLowerCase().replace(/[^a-z0-9]/g, '-')

/** Names of ours in any letter case, with anything between that some backend may take for the same. */
const spelling = fc
  .tuple(fc.constantFrom(...OURS), fc.array(fc.boolean(), { maxLength: 15 }), fc.constantFrom(...'-_.~!*|^'))
  .map(([name, upper, between]) =>
    [...name.replaceAll('-', between)]
      .map((letter, i) => (upper[i] ? letter.toUpperCase() : letter.toLowerCase()))
      .join(''),
  )
const line = fc.oneof(
  fc.tuple(spelling, fc.constantFrom('forged', ' forged', '\tforged \t', '', 'forged, forged', '"forged"')),
  fc.tuple(
    fc.constantFrom('X-Other', 'Cookie', 'x_other', '__proto__', 'Accept'),
    fc.constantFrom(' kept', 'a=b; c', ''),
  ),
  fc.tuple(
    fc.constant('Connection'),
    fc.subarray([...OURS, 'keep-alive', 'X-Other']).map((names) => ` ${names.join(', ')}`),
  ),
)

/** The one request, in these pieces. */
async function ask(connection: RawConnection, pieces: readonly string[]): Promise<string> {
  arrived.length = 0
  for (const [i, piece] of pieces.entries()) {
    // Each write is a TLS record of its own, and none is read with the one before.
    if (i > 0) await pause(1)
    connection.write(piece)
  }
  await waitFor('an answer', () => connection.isClosed || connection.received.includes('\r\n\r\n'))
  connection.destroy()
  return `${connection.received.slice(9, 12)}\n${arrived.join('\n')}`
}

test('the same bytes in one piece and in two arrive as the same request, and nothing of it is forged', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(line, { maxLength: 8 }),
      fc.constantFrom('1.1', '1.0'),
      fc.boolean(),
      async (lines, version, hasCertificate) => {
        const fields = lines.map(([name, value]) => `${name}:${value}\r\n`).join('')
        const request = `GET /${version} HTTP/${version}\r\nHost: localhost\r\n${fields}\r\n`
        const who = hasCertificate ? { as: scene.ada } : {}
        const whole = await ask(await gateway.open(who), [request])
        const halves = await ask(await gateway.open(who), [request.slice(0, 20), request.slice(20)])
        expect(halves).toBe(whole)
        expect(whole).toMatch(/^200\n/)
        expect(whole.match(/^VERIFIED: .*$/gim)).toEqual([`VERIFIED: ${hasCertificate ? 'SUCCESS' : 'NONE'}`])
        for (const [, name = '', value = ''] of whole.matchAll(/^([^:\r\n]+):(.*)$/gm))
          if (OURS.map(fold).includes(fold(name))) expect(value).not.toContain('forged')
      },
    ),
    { numRuns: 60 },
  )
})
