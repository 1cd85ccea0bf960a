// What can happen to an upload: in pieces or whole, while rights change, while its token ends, and while the registry is restarted.
import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { beforeAll, expect, test } from '@jest/globals'
import type { Answer, Ask } from '../support/client.ts'
import { json } from '../support/client.ts'
import type { Issued } from '../support/pki.ts'
import { describeRegistry, HOST, makeImage } from '../support/registry.ts'
import { makeRegistryScene, type RegistryScene } from '../support/registry-scene.ts'
import { waitFor } from '../support/wait.ts'

const BASIC = `Basic ${Buffer.from('robot$ci:made at random').toString('base64')}`
const rules = [
  { name: 'builders', certificate: { cn: ['builder'] }, repositories: ['team/**'], actions: ['push'] },
  { name: 'robots', users: ['robot$ci'], repositories: ['team/**'], actions: ['push'] },
]
const realm = { rules, robots: [{ name: 'robot$ci', secret: 'made at random' }] }

describeRegistry('uploads to a real registry', () => {
  let scene: RegistryScene
  let builder: Issued

  beforeAll(async () => {
    scene = await makeRegistryScene({ mode: 'direct', realm })
    builder = scene.clients.client('builder')
  })

  const ask = (path: string, options: Ask = {}) =>
    scene.gateway.get(path, { host: `${HOST}:${scene.port}`, ...options })
  /** Begins an upload; the path of where it goes on, which must be the gate's own address. */
  async function begin(repository: string, options: Ask): Promise<string> {
    const answer = await ask(`/v2/${repository}/blobs/uploads/`, { method: 'POST', ...options })
    expect([answer.status, answer.headers.location]).toEqual([202, expect.stringContaining(`https://${scene.at}/v2/`)])
    expect(answer.headers['docker-upload-uuid']).toEqual(expect.any(String))
    return next(answer)
  }
  const next = ({ headers }: Answer) => String(headers.location).replace(`https://${scene.at}`, '')
  const finish = (path: string, digest: string, options: Ask) =>
    ask(`${path}&digest=${digest}`, { method: 'PUT', ...options })
  const digestOf = (content: Buffer) => `sha256:${createHash('sha256').update(content).digest('hex')}`

  test('the same layer in pieces and whole', async () => {
    const content = Buffer.alloc(300_000, 'layer')
    const digest = digestOf(content)

    let path = await begin('team/pieces', { as: builder })
    for (const [from, to] of [
      [0, 100_000],
      [100_000, 300_000],
    ] as const) {
      const body = Readable.from([content.subarray(from, to)])
      const patched = await ask(path, { method: 'PATCH', as: builder, body })
      expect([patched.status, patched.headers.range]).toEqual([202, `0-${to - 1}`])
      path = next(patched)
    }
    expect(await finish(path, digest, { as: builder })).toMatchObject({ status: 201 })

    const whole = await finish(await begin('team/whole', { as: builder }), digest, { as: builder, body: content })
    expect([whole.status, whole.headers['docker-content-digest']]).toEqual([201, digest])

    for (const repository of ['team/pieces', 'team/whole']) {
      const { status, text } = await ask(`/v2/${repository}/blobs/${digest}`, { as: builder })
      expect([repository, status, digestOf(Buffer.from(text))]).toEqual([repository, 200, digest])
    }
  })

  test('addresses that a client makes up reach nobody: the upload goes on at the gate', async () => {
    const headers = {
      forwarded: 'host=evil.example;proto=http',
      'x-forwarded-host': 'evil.example',
      'x-forwarded-proto': 'http',
      'x-forwarded-port': '81',
    }
    const path = await begin('team/spoofed', { as: builder, headers })
    expect(path).toMatch(/^\/v2\/team\/spoofed\/blobs\/uploads\/[\w-]+\?_state=/)
  })

  test('a right that is taken away while a layer is sent: that request ends well, the next is refused', async () => {
    const path = await begin('team/changing', { as: builder })
    const body = new Readable({ read() {} })
    body.push(Buffer.alloc(1000, 'a'))
    const sending = ask(path, { method: 'PATCH', as: builder, body })
    await waitFor('the upload to be under way', async () => {
      return /upstream_connections\{[^}]*service="registry"[^}]*state="active"[^}]*\} [1-9]/.test(
        (await scene.gateway.getAdmin('/metrics')).text,
      )
    })
    await scene.gateway.reload(scene.config({ ...realm, rules: rules.filter(({ name }) => name !== 'builders') }))
    body.push(Buffer.alloc(1000, 'b'))
    body.push(null)
    const sent = await sending
    expect([sent.status, sent.headers.range]).toEqual([202, '0-1999'])
    const refused = await finish(next(sent), digestOf(Buffer.alloc(2000)), { as: builder })
    expect(refused.status).toBe(401)
    expect(refused.headers['www-authenticate']).toContain('scope="repository:team/changing:pull,push"')
    await scene.gateway.reload(scene.config())
  })

  test('a token that ends during an upload of 1 GB: the upload goes on, the next request needs a new one', async () => {
    await scene.gateway.reload(scene.config({ ...realm, token_lifetime: '5s' }))
    const login = async () => {
      const query = 'service=registry.test&scope=repository:team/large:push'
      const answer = await ask(`/auth/realms/acme/protocol/docker-v2/auth?${query}`, {
        headers: { authorization: BASIC },
      })
      return { authorization: `Bearer ${json<{ token: string }>(answer).token}` }
    }
    const headers = await login()
    const ends = Date.now() + 5000
    const path = await begin('team/large', { headers })
    const hash = createHash('sha256')
    const body = Readable.from(gigabyte(hash, ends))
    const sent = await ask(path, { method: 'PATCH', headers, body, seconds: 180 })
    expect([sent.status, sent.headers.range]).toEqual([202, `0-${2 ** 30 - 1}`])
    const digest = `sha256:${hash.digest('hex')}`
    const late = await finish(next(sent), digest, { headers })
    expect([late.status, late.headers['www-authenticate']]).toEqual([
      401,
      expect.stringContaining('error="invalid_token"'),
    ])
    expect((await finish(next(sent), digest, { headers: await login() })).status).toBe(201)
    expect(scene.gateway.peakMegabytes).toBeLessThan(400)
    await scene.gateway.reload(scene.config())
  }, 240_000)

  test('a registry that is restarted under load: nobody is let in or out by it, and all goes on', async () => {
    const image = makeImage(1000)
    expect((await scene.copy(image, 'team/app:1', { as: builder })).status).toBe(0)
    const statuses = new Set<number>()
    let busy = true
    const client = async (options: Ask) => {
      while (busy) statuses.add((await ask('/v2/team/app/tags/list', options)).status)
    }
    const refused = new Set<number>()
    const stranger = async () => {
      while (busy) refused.add((await ask('/v2/team/app/tags/list')).status)
    }
    const load = Promise.all([client({ as: builder }), client({ as: builder }), stranger()])
    await waitFor('load', () => statuses.has(200))
    const again = await scene.registry.restart()
    statuses.delete(200)
    await waitFor('answers of the new one', () => statuses.has(200))
    busy = false
    await load
    expect([...statuses].filter((status) => status !== 200 && status !== 502)).toEqual([])
    expect([...refused]).toEqual([401])
    expect((await scene.copy(image, 'team/app:2', { as: builder })).stderr).toBe('')
    await again.child.stop('SIGKILL')
  })
})

/** 2^30 bytes that go on until the time is over. */
async function* gigabyte(hash: ReturnType<typeof createHash>, until: number): AsyncGenerator<Buffer> {
  const chunk = Buffer.alloc(1024 * 1024, 'layer')
  for (let i = 0; i < 1024; i++) {
    hash.update(chunk)
    // The last megabyte leaves when the token is over, however fast this machine is.
    if (i === 1023) await waitFor('the end of the token', () => Date.now() > until)
    yield chunk
  }
}
