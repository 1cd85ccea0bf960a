import { createServer, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { decodeJwt } from 'jose'
import { whenFileEnds } from '../support/cleanup.ts'
import { json } from '../support/client.ts'
import { temporaryFile, temporaryFolder } from '../support/folder.ts'
import { type Gateway, refusedStart } from '../support/gateway.ts'
import { makeScene, type Scene } from '../support/scene.ts'
import { waitFor } from '../support/wait.ts'

const BASIC = { authorization: `Basic ${Buffer.from('robot$ci:made at random').toString('base64')}` }
let scene: Scene

beforeAll(async () => {
  scene = await makeScene()
})

function parts(realm: object) {
  const signer = scene.inside.client('signer')
  return {
    certificates: [{ name: 'tokens', cert: signer.chain, key: signer.key }],
    registry_realms: [
      {
        ...{ name: 'acme', services: ['registry.test'], certificate: 'tokens' },
        robots: [{ name: 'robot$ci', secret: 'made at random', groups: ['dev'] }],
        ...realm,
      },
    ],
    services: [{ name: 'tokens', builtin: 'registry-tokens', routes: [{ name: 'tokens', paths: ['/auth'] }] }],
  }
}

const ask = (gateway: Gateway, scope: string) =>
  gateway.get(`/auth/token?service=registry.test&scope=${scope}`, { headers: BASIC })
const access = async (gateway: Gateway, scope: string) => {
  return decodeJwt(json<{ token: string }>(await ask(gateway, scope)).token).access
}

describe("docker_auth's file", () => {
  const file = (acl: string) => temporaryFile('auth_config.yml', `server: {addr: ":5001"}\nusers: {admin: {}}\n${acl}`)

  test('is read as it is: the first entry that matches decides', async () => {
    const acl = `
acl:
  - match: {account: "/.+/", name: "secret/*"}
    actions: []
  - match: {account: "robot$ci", type: repository, name: "team/*"}
    actions: [pull]
    comment: robots
  - match: {labels: {group: dev}}
    actions: ["*"]`
    const gateway = await scene.start(parts({ acl_file: file(acl) }))
    expect(await access(gateway, 'repository:team/app:pull,push')).toEqual([
      { type: 'repository', name: 'team/app', actions: ['pull'] },
    ])
    expect(await access(gateway, 'repository:other/app:pull,push')).toMatchObject([{ actions: ['pull', 'push'] }])
    expect(await access(gateway, 'repository:secret/app:pull')).toEqual([])
  })

  test.each([
    ['no acl', 'acls: []', 'holds no list under acl'],
    ['an entry that cannot be understood', 'acl:\n  - match: {user: x}', 'entry 1 of the acl matches "user"'],
    ['no YAML', 'acl: [', 'is no valid YAML'],
  ])('with %s is refused at start', async (_what, acl, sentence) => {
    const { stdout, stderr } = await refusedStart({ config: scene.config(parts({ acl_file: file(acl) })) })
    expect(stdout + stderr).toContain(sentence)
  })

  test('beside rules is refused at start', async () => {
    const realm = { acl_file: file('acl: []'), rules: [{ repositories: ['**'] }] }
    const { stdout, stderr } = await refusedStart({ config: scene.config(parts(realm)) })
    expect(stdout + stderr).toContain('stands beside rules')
  })
})

describe('a program behind a socket', () => {
  test('decides, and nobody gets anything while it is away', async () => {
    const socket = join(temporaryFolder(), 'program.sock')
    const server = createServer((_request, response) => response.end('["pull"]'))
    await new Promise<void>((resolve) => server.listen(socket, resolve))
    whenFileEnds(() => server.close())
    const gateway = await scene.start(parts({ authorization_socket: `unix:${socket}` }))
    expect(await access(gateway, 'repository:team/app:pull,push')).toMatchObject([{ actions: ['pull'] }])
    await new Promise((resolve) => server.close(resolve))
    const answer = await ask(gateway, 'repository:team/app:pull')
    expect([answer.status, json(answer)]).toEqual([503, { errors: [expect.objectContaining({ code: 'UNAVAILABLE' })] }])
    expect(await gateway.line(answer)).toMatchObject({ code: 'GW_UNDECIDED' })
  })

  test('is not asked about the rest of a list whose client has left', async () => {
    const socket = join(temporaryFolder(), 'program.sock')
    const held: ServerResponse[] = []
    let asked = 0
    let isLeft = false
    const server = createServer((_request, response) => {
      asked += 1
      if (isLeft) response.end('["pull"]')
      else held.push(response)
    })
    await new Promise<void>((resolve) => server.listen(socket, resolve))
    whenFileEnds(() => server.close())
    const { services, ...rest } = parts({ authorization_socket: `unix:${socket}`, authorization_timeout: '60s' })
    const registry = {
      ...{
        name: 'registry',
        url: scene.backend.url,
        registry: { realm: 'acme', service: 'registry.test', filter: true },
      },
      routes: [{ name: 'registry', paths: ['/v2'], strip_path: false }],
    }
    const gateway = await scene.start({ ...rest, services: [...services, registry] })
    const repositories = Array.from({ length: 500 }, (_, i) => `team/${i}`)
    scene.backend.respond = (_request, response) => response.end(JSON.stringify({ repositories }))
    const client = await gateway.open({ as: scene.clients.client('builder') })
    client.write('GET /v2/_catalog HTTP/1.1\r\nHost: localhost\r\n\r\n')
    await waitFor('the first question', () => held.length > 0)
    client.destroy()
    isLeft = true
    for (const first of held) first.end('["pull"]')
    await gateway.logged({ msg: 'request', code: 'GW_CLIENT_CLOSED' })
    // The program answers to the end, so that whoever goes on asking has asked about all of it.
    const before = asked
    await access(gateway, 'repository:team/app:pull')
    expect([before < 250, asked - before]).toEqual([true, 1])
  })
})
