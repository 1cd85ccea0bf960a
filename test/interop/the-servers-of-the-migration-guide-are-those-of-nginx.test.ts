// docs/migration.md prints servers of nginx and the file that stands for them here. Both run as printed, and must answer alike.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from '@jest/globals'
import { type Backend, startBackend } from '../support/backend.ts'
import { type Ask, ask } from '../support/client.ts'
import { temporaryFolder } from '../support/folder.ts'
import { freePort } from '../support/free-port.ts'
import { type Gateway, PROJECT, startGateway } from '../support/gateway.ts'
import { startNginx } from '../support/nginx.ts'
import { describeWith } from '../support/peers.ts'
import { authority } from '../support/pki.ts'

const guide = readFileSync(join(PROJECT, 'docs/migration.md'), 'utf8')
const printed = (language: string) => new RegExp(`\`\`\`${language}\n([\\s\\S]*?)\`\`\``).exec(guide)?.[1] ?? ''

const ca = authority('ca')
const partners = authority('partners')
const certificates = {
  nobody: undefined,
  ada: ca.client('ada'),
  bob: ca.client('bob'),
  eve: ca.client('eve'),
  partner: partners.client('partner'),
}
type Name = keyof typeof certificates

describeWith(['nginx'], 'docs/migration.md', () => {
  const folder = temporaryFolder()
  let backend: Backend
  let gateway: Gateway
  let nginx: number

  beforeAll(async () => {
    const server = ca.server('localhost')
    const own = ca.client('gateway')
    const files = {
      'ca.crt': ca.certificate,
      'ca.crl': ca.crl([certificates.eve]),
      'partners.crt': partners.certificate,
      'server.crt': server.chain,
      'server.key': server.key,
      'gateway.crt': own.chain,
      'gateway.key': own.key,
    }
    for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content)
    backend = await startBackend({ certificate: ca.server('localhost'), clients: ca })
    nginx = await freePort()
    const placed = (text: string) => text.replaceAll('localhost:9443', `localhost:${backend.port}`)
    await startNginx(
      nginx,
      placed(printed('nginx'))
        .replaceAll('listen 443', `listen 127.0.0.1:${nginx}`)
        .replaceAll('[::]:443', `[::1]:${nginx}`)
        .replaceAll(/ (\w+\.(?:crt|key|crl));/g, ` ${folder}/$1;`),
    )
    const config = placed(printed('yaml')).replace('"[::]:443"', '"[::]:0"')
    gateway = await startGateway({ config, cwd: folder, env: { SALLYPORT_ADMIN_LISTEN: 'off' } })
  })

  /** The status, and what the backend was told, if it was asked. */
  async function told(port: number, path: string, options: Ask) {
    backend.reset()
    const { status } = await ask(port, path, options)
    const [seen] = backend.seen
    return { status, target: seen?.target, verified: seen?.header('VERIFIED'), dn: seen?.header('DN') }
  }

  test.each<[host: string, path: string, as: Name, status: number]>([
    ['api.example.com', '/orders?a=b', 'ada', 200],
    ['api.example.com', '/orders', 'nobody', 200],
    ['api.example.com', '/orders', 'eve', 400],
    ['api.example.com', '/orders', 'partner', 400],
    ['api.example.com', '/admin/users', 'bob', 200],
    ['api.example.com', '/reports', 'ada', 200],
    ['api.example.com', '/reports', 'bob', 403],
    ['api.example.com', '/reports', 'nobody', 403],
    ['partners.example.com', '/orders', 'partner', 200],
    ['partners.example.com', '/reports', 'partner', 200],
    ['partners.example.com', '/orders', 'ada', 400],
    ['partners.example.com', '/orders', 'nobody', 400],
    ['unknown.example.com', '/orders', 'ada', 200],
  ])('https://%s%s as %s gets %i from both', async (host, path, as, status) => {
    const certificate = certificates[as]
    const options: Ask = { host, ...(certificate && { as: certificate }) }
    const theirs = await told(nginx, path, options)
    expect(theirs.status).toBe(status)
    expect(await told(gateway.port, path, options)).toEqual(theirs)
  })

  test('a body over client_max_body_size gets 413 from both, one of that size passes', async () => {
    for (const port of [nginx, gateway.port]) {
      const post = (size: number) =>
        ask(port, '/', { host: 'api.example.com', method: 'POST', body: Buffer.alloc(size), as: certificates.ada })
      expect([(await post(1024)).status, (await post(1025)).status]).toEqual([200, 413])
    }
  })

  test('both listen on IPv6 too', async () => {
    for (const port of [nginx, gateway.port])
      expect((await ask(port, '/', { host: 'api.example.com', address: '::1' })).status).toBe(200)
  })

  test('where nginx answers 403 to a location that demands a certificate, a route that does answers 400, as the guide says', async () => {
    const options: Ask = { host: 'api.example.com' }
    expect((await told(nginx, '/admin', options)).status).toBe(403)
    expect((await told(gateway.port, '/admin', options)).status).toBe(400)
    expect(guide).toContain('answers without a certificate what a server with it does, 400')
  })
})
