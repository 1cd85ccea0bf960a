// Each KeyUpdate (RFC 8446 4.6.3) makes the other side derive keys, and OpenSSL takes as many as come: a megabyte of them kept the gateway from everybody else for seconds.
import { setTimeout } from 'node:timers/promises'
import { beforeAll, expect, test } from '@jest/globals'
import type { Child } from '../support/children.ts'
import type { Gateway } from '../support/gateway.ts'
import { interactiveClient, interactiveServer, type SServer } from '../support/openssl.ts'
import { makeScene, type Scene } from '../support/scene.ts'
import { waitFor } from '../support/wait.ts'

const MOST = 32

let scene: Scene
let gateway: Gateway
let hostile: SServer

beforeAll(async () => {
  scene = await makeScene()
  hostile = await interactiveServer(scene.inside.server('localhost'))
  gateway = await scene.start({
    services: [
      { name: 'api', url: scene.backend.url, routes: [{ name: 'everything', paths: ['/'] }] },
      { name: 'hostile', url: hostile.url, routes: [{ name: 'hostile', paths: ['/hostile'] }] },
    ],
  })
})

/** Until it is enough; bounded for where it never is. Openssl looks at the first byte of what it reads, and so takes several lines at once for one. */
async function renewKeys({ process: { stdin } }: Child, enough: () => boolean): Promise<void> {
  for (let i = 0; i < 20_000 && !enough(); i++) {
    stdin.write('K\n')
    await setTimeout(3)
  }
}

async function renewKeysOnce(client: Child): Promise<void> {
  const renewals = () => client.stderr.split('KEYUPDATE').length
  const before = renewals()
  client.process.stdin.write('K\n')
  await waitFor('new keys', () => renewals() > before)
}

const REQUEST = 'GET / HTTP/1.1\nHost: localhost\nConnection: close\n\n'

test('a client may renew its keys now and then', async () => {
  const client = await interactiveClient(gateway.port, 'localhost')
  for (let i = 0; i < MOST / 2; i++) await renewKeysOnce(client)
  client.process.stdin.write(REQUEST)
  expect((await client.exited).stdout).toContain('HTTP/1.1 200')
})

test('one that does nothing else is let go, and the log says why', async () => {
  const client = await interactiveClient(gateway.port, 'localhost')
  await renewKeys(client, () => !client.running)
  const line = await gateway.logged({ msg: 'connection ended' })
  expect(line).toMatchObject({ remote_addr: '127.0.0.1', reason: expect.stringContaining('new keys') })
  expect((await gateway.get('/')).status).toBe(200)
})

test('nor does an upstream keep the gateway busy: the request is answered with 502', async () => {
  const answer = gateway.get('/hostile')
  await waitFor('the request', () => hostile.child.stdout.includes('X-Request-ID'))
  let answered = false
  void answer.finally(() => {
    answered = true
  })
  await renewKeys(hostile.child, () => answered)
  const { status, text } = await answer
  expect([status, JSON.parse(text).code]).toEqual([502, 'GW_UPSTREAM_RESPONSE'])
  const { detail } = await gateway.line(await answer)
  expect(detail).toContain('new keys')
})
