// Token mode: the real registry checks tokens that the gateway signs, and the real skopeo fetches them, by password or by nobody's leave.
import { beforeAll, expect, test } from '@jest/globals'
import { freePort } from '../support/free-port.ts'
import { type Gateway, startGateway } from '../support/gateway.ts'
import { authority } from '../support/pki.ts'
import {
  certificateFolder,
  describeRegistry,
  HOST,
  makeImage,
  type Registry,
  skopeo,
  startRegistry,
} from '../support/registry.ts'

describeRegistry('the real registry and skopeo with tokens', () => {
  const servers = authority('servers')
  const clients = authority('clients')
  const signing = authority('signing')
  const front = servers.server(HOST)
  const signer = signing.client('token signer')
  const image = makeImage(1000, 20_000)
  const trust = certificateFolder(servers)
  let registry: Registry
  let gateway: Gateway
  let at: string

  beforeAll(async () => {
    const port = await freePort()
    at = `docker://${HOST}:${port}`
    registry = await startRegistry({
      token: {
        realm: `https://${HOST}:${port}/auth/realms/acme/protocol/docker-v2/auth`,
        service: 'registry.test',
        issuer: 'acme',
        bundle: signing.certificate,
      },
    })
    gateway = await startGateway({
      config: {
        listeners: [
          {
            listen: `127.0.0.1:${port}`,
            client_max_body_size: 0,
            servers: [
              {
                server_names: [HOST],
                ssl_certificate: front.chain,
                ssl_certificate_key: front.key,
                ssl_client_certificate: clients.certificate,
                ssl_verify_client: 'optional',
              },
            ],
          },
        ],
        certificates: [{ name: 'tokens', cert: signer.chain, key: signer.key }],
        registry_realms: [
          {
            name: 'acme',
            services: ['registry.test'],
            certificate: 'tokens',
            rules: [
              {
                name: 'ci pushes',
                users: ['robot$ci'],
                repositories: ['team/**', 'public/**'],
                actions: ['push', 'delete'],
              },
              { name: 'everybody pulls', anonymous: true, repositories: ['public/**'] },
              { name: 'reader', users: ['robot$reader'], repositories: ['team/**'] },
              { name: 'lister', users: ['robot$ci'], catalog: true },
            ],
            robots: [
              { name: 'robot$ci', secret: 'made at random' },
              { name: 'robot$reader', secret: 'made at random too' },
              { name: 'robot$old', secret: 'made long ago', expires: '2020-01-01' },
            ],
          },
        ],
        services: [
          { name: 'tokens', builtin: 'registry-tokens', routes: [{ name: 'tokens', paths: ['/auth', '/realms'] }] },
          {
            name: 'registry',
            url: registry.url,
            routes: [{ name: 'registry', paths: ['/v2'], strip_path: false, preserve_host: true }],
          },
        ],
        admin: { listen: '127.0.0.1:0' },
      },
    })
  }, 30_000)

  const copy = (to: string, creds?: string) =>
    skopeo(['copy', '--dest-cert-dir', trust, ...(creds ? ['--dest-creds', creds] : []), `dir:${image}`, `${at}/${to}`])
  const inspect = (repository: string, creds?: string) =>
    skopeo(['inspect', '--cert-dir', trust, ...(creds ? ['--creds', creds] : ['--no-creds']), `${at}/${repository}`])

  test('a password pushes, and pulls what it pushed', async () => {
    const pushed = await copy('team/app:1', 'robot$ci:made at random')
    expect(pushed.stderr).toBe('')
    expect(pushed.status).toBe(0)
    const found = await inspect('team/app:1', 'robot$ci:made at random')
    expect(found.stderr).toBe('')
    expect(JSON.parse(found.stdout)).toMatchObject({ Name: `${at.slice(9)}/team/app`, RepoTags: ['1'] })
  }, 30_000)

  test('who may only pull cannot push', async () => {
    expect((await copy('team/app:2', 'robot$reader:made at random too')).status).not.toBe(0)
  }, 30_000)

  test('nobody pulls what is for everybody, and nothing else', async () => {
    expect((await copy('public/tool:1', 'robot$ci:made at random')).stderr).toBe('')
    expect((await inspect('public/tool:1')).status).toBe(0)
    const refused = await inspect('team/app:1')
    expect(refused.status).not.toBe(0)
    expect(refused.stderr).toContain('authentication required')
  }, 30_000)

  test('a wrong password and an expired robot are refused with a sentence', async () => {
    for (const creds of ['robot$ci:wrong', 'robot$old:made long ago', 'nobody:nothing']) {
      const refused = await inspect('team/app:1', creds)
      expect([creds, refused.status === 0]).toEqual([creds, false])
      expect(refused.stderr).toMatch(/Invalid username or password|unauthorized/)
    }
  }, 30_000)

  test('each token is one line in the log: who, how, asked, granted', async () => {
    await copy('team/logged:1', 'robot$reader:made at random too')
    expect(
      await gateway.logged({
        msg: 'registry token issued',
        user: 'robot$reader',
        realm: 'acme',
        service: 'registry.test',
      }),
    ).toMatchObject({ methods: ['robot'] })
  }, 30_000)
})
