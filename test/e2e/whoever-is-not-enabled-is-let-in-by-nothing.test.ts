import { generateKeyPairSync } from 'node:crypto'
import { beforeAll, expect, test } from '@jest/globals'
import { exportJWK, SignJWT } from 'jose'
import type { Gateway } from '../support/gateway.ts'
import { type GatewayConfig, listenerOf, makeScene, type Scene } from '../support/scene.ts'
import { waitFor, within } from '../support/wait.ts'

const ISSUER = 'https://login.example.com'
const key = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const UPGRADE =
  'GET /by-certificate HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'
const UPGRADED = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'

let scene: Scene
let gateway: Gateway

/** A user whom her certificate, other issuers and rules name, whatever `consumers` says of her. */
async function configuration(enabled: boolean): Promise<GatewayConfig> {
  const jwks = JSON.stringify({ keys: [{ ...(await exportJWK(key.publicKey)), kid: 'k', alg: 'ES256' }] })
  const routeOf = (name: string, parts: object) => ({ name, paths: [`/${name}`], ...parts })
  return scene.config({
    ...listenerOf(scene.server({ authorization: { users: [{ user: { from: 'subject.cn' } }] } })),
    auth: { jwt_issuers: [{ issuer: ISSUER, audience: ['api'], jwks, ephemeral_users: true }] },
    consumers: [{ username: 'ada', enabled }, { username: 'guest' }],
    services: [
      {
        ...{ name: 'api', url: scene.backend.url },
        routes: [
          routeOf('by-certificate', { rules: [['certificate']] }),
          routeOf('for-strangers', { rules: [['certificate']], default_consumer: 'guest' }),
          routeOf('by-token', { rules: [['token']] }),
        ],
      },
    ],
  })
}

function token(sub: string): Promise<string> {
  const made = new SignJWT({ iss: ISSUER, aud: 'api', sub }).setProtectedHeader({ alg: 'ES256', kid: 'k' })
  return made.setExpirationTime('5m').sign(key.privateKey)
}

/** What each way in answers to ada, and to bob, whom no consumer stands for. */
async function answers(): Promise<Record<string, number>> {
  const bob = scene.clients.client('bob')
  const bearer = async (sub: string) => ({ headers: { authorization: `Bearer ${await token(sub)}` } })
  const asked = {
    certificate: await gateway.get('/by-certificate', { as: scene.ada }),
    default_consumer: await gateway.get('/for-strangers', { as: scene.ada }),
    token: await gateway.get('/by-token', await bearer('ada')),
    "bob's certificate": await gateway.get('/by-certificate', { as: bob }),
    "bob's token": await gateway.get('/by-token', await bearer('bob')),
  }
  return Object.fromEntries(Object.entries(asked).map(([name, { status }]) => [name, status]))
}

beforeAll(async () => {
  scene = await makeScene()
  scene.backend.upgrade = (_request, socket) => socket.on('error', () => {}).write(UPGRADED)
  gateway = await scene.start(await configuration(true))
})

test('a user who is disabled is let in by no certificate, no default_consumer and no other issuer, and her WebSocket ends', async () => {
  const enabled = { certificate: 200, default_consumer: 200, token: 200 }
  expect(await answers()).toEqual({ ...enabled, "bob's certificate": 200, "bob's token": 200 })
  const socket = await gateway.open({ as: scene.ada })
  socket.write(UPGRADE)
  await waitFor('the upgrade', () => socket.received.includes('101'))

  await gateway.reload(await configuration(false))
  const disabled = { certificate: 401, default_consumer: 401, token: 401 }
  expect(await answers()).toEqual({ ...disabled, "bob's certificate": 200, "bob's token": 200 })
  await within(5, 'the end of the WebSocket', socket.closed)
  await waitFor('the reason in the log', () =>
    gateway.log.some((line) => JSON.stringify(line).includes('ada is not enabled')),
  )
})
