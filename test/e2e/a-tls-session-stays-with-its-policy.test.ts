// The attacks of nginx CVE-2025-23419 and nodejs/node#35317: a session of one server name offered to another, and one that was made without a certificate.
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { temporaryFolder } from '../support/folder.ts'
import type { Gateway } from '../support/gateway.ts'
import { type SessionResult, sClient } from '../support/openssl.ts'
import { describeWith } from '../support/peers.ts'
import { authority } from '../support/pki.ts'
import { listenerOf, makeScene, type Scene } from '../support/scene.ts'

let scene: Scene
let gateway: Gateway
const red = authority('red')
const blue = authority('blue')
const ada = red.client('ada').files()

beforeAll(async () => {
  scene = await makeScene()
  gateway = await scene.start(
    listenerOf(
      scene.server({ server_names: ['default.test'], ssl_client_certificate: blue.certificate }),
      scene.server({ server_names: ['red.test'], ssl_client_certificate: red.certificate }),
      scene.server({ server_names: ['blue.test'], ssl_client_certificate: blue.certificate, ssl_verify_client: 'on' }),
      scene.server({ server_names: ['open.test'], ssl_verify_client: 'off' }),
    ),
  )
})

type Tls = 'tls1_2' | 'tls1_3'

/** A full handshake with red.test; returns the file that holds its session. */
async function sessionOf(tls: Tls, as: typeof ada | undefined, servername = 'red.test'): Promise<string> {
  const keep = join(temporaryFolder(), 'session.pem')
  const first = await connect({ tls, servername, keep, host: servername, ...(as && { as }) })
  expect(first.resumed).toBe(false)
  expect(first.answers[0]?.status).toBe(200)
  return keep
}

interface Connect {
  readonly tls: Tls
  readonly host: string
  readonly servername?: string
  readonly resume?: string
  readonly keep?: string
  readonly as?: typeof ada
}

function connect({ host, ...options }: Connect): Promise<SessionResult> {
  scene.backend.reset()
  const request = `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`
  return sClient({ port: gateway.port, request, ...options })
}

/** What the backend was told: VERIFIED and DN; nothing where the request did not get there. */
function told(): string[] {
  return scene.backend.seen.flatMap((seen) => [...seen.header('VERIFIED'), ...seen.header('DN')])
}

describeWith(['openssl'], 'a TLS session stays with its policy', () => {
  describe.each<[Tls]>([['tls1_2'], ['tls1_3']])('%s', (tls) => {
    describe('made with a certificate', () => {
      test('is resumed under the same name, and is still the same client', async () => {
        const resume = await sessionOf(tls, ada)
        const again = await connect({ tls, servername: 'red.test', host: 'red.test', resume })
        expect(again.resumed).toBe(true)
        expect(told()).toEqual(['SUCCESS', 'CN=ada'])
      })
      test.each(['blue.test', 'default.test', 'open.test', 'unknown.test'])(
        'opens nothing under the name %s',
        async (name) => {
          const resume = await sessionOf(tls, ada)
          const other = await connect({ tls, servername: name, host: name, resume })
          expect(other.resumed).toBe(false)
          expect(other.answers.map(({ status }) => status)).toEqual([name === 'blue.test' ? 400 : 200])
          expect(told()).toEqual(name === 'blue.test' ? [] : ['NONE'])
        },
      )
      test('opens nothing without a name', async () => {
        const resume = await sessionOf(tls, ada)
        const nameless = await connect({ tls, host: 'default.test', resume })
        expect(nameless.resumed).toBe(false)
        expect(told()).toEqual(['NONE'])
        const asRed = await connect({ tls, host: 'red.test', resume })
        expect(asRed.answers.map(({ status }) => status)).toEqual([421])
      })
      test('does not carry a Host of another policy', async () => {
        const resume = await sessionOf(tls, ada)
        const again = await connect({ tls, servername: 'red.test', host: 'blue.test', resume })
        expect(again.answers.map(({ status }) => status)).toEqual([421])
        expect(told()).toEqual([])
      })
    })

    describe('made without a certificate', () => {
      test('is resumed under the same name, and still says NONE', async () => {
        const resume = await sessionOf(tls, undefined)
        const again = await connect({ tls, servername: 'red.test', host: 'red.test', resume })
        expect(again.resumed).toBe(true)
        expect(told()).toEqual(['NONE'])
      })
      test('does not get past a name that demands a certificate', async () => {
        const resume = await sessionOf(tls, undefined, 'open.test')
        const other = await connect({ tls, servername: 'blue.test', host: 'blue.test', resume })
        expect(other.resumed).toBe(false)
        expect(other.answers.map(({ status }) => status)).toEqual([400])
        expect(told()).toEqual([])
      })
      test('does not get past it without a name either', async () => {
        const resume = await sessionOf(tls, undefined)
        const nameless = await connect({ tls, host: 'blue.test', resume })
        expect(nameless.resumed).toBe(false)
        expect([400, 421]).toContain(nameless.answers[0]?.status)
        expect(told()).toEqual([])
      })
    })

    test('made with a certificate that was refused, it is refused again', async () => {
      const keep = join(temporaryFolder(), 'session.pem')
      const stranger = blue.client('mallory').files()
      const options = { tls, servername: 'red.test', host: 'red.test' } as const
      expect((await connect({ ...options, as: stranger, keep })).answers[0]?.status).toBe(400)
      expect((await connect({ ...options, resume: keep })).answers[0]?.status).not.toBe(200)
      expect(told()).toEqual([])
    })
  })
})
