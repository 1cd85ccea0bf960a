// docs/migration.md prints a nats.conf and the file that stands for it here. Both run as printed, and must find the same users.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from '@jest/globals'
import { type Backend, startBackend } from '../support/backend.ts'
import { temporaryFolder } from '../support/folder.ts'
import { freePort } from '../support/free-port.ts'
import { type Gateway, PROJECT, startGateway } from '../support/gateway.ts'
import { type NatsServer, startConfiguredNats } from '../support/nats.ts'
import { describeWith } from '../support/peers.ts'
import { authority } from '../support/pki.ts'

const guide = readFileSync(join(PROJECT, 'docs/migration.md'), 'utf8')
const [, part = ''] = guide.split('## From NATS\n')
const printed = (language: string) => new RegExp(`\`\`\`${language}\n([\\s\\S]*?)\`\`\``).exec(part)?.[1] ?? ''

const ca = authority('ca')
const people = {
  ada: ca.client('ada'),
  bob: ca.client('robert', { emails: ['bob@example.com'] }),
  eve: ca.client('eve'),
}

describeWith(['nats-server'], 'the users of docs/migration.md', () => {
  const folder = temporaryFolder()
  let backend: Backend
  let gateway: Gateway
  let nats: NatsServer

  beforeAll(async () => {
    const server = ca.server('localhost')
    const files = { 'ca.crt': ca.certificate, 'server.crt': server.chain, 'server.key': server.key }
    for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content)
    backend = await startBackend({ certificate: server })
    const port = await freePort()
    const env = { SALLYPORT_ADMIN_LISTEN: 'off', SALLYPORT_PROXY_SSL_TRUSTED_CERTIFICATE: ca.certificate }
    const config = printed('yaml').replace('0.0.0.0:8443', '127.0.0.1:0').replace('http://127.0.0.1:3000', backend.url)
    gateway = await startGateway({ config, cwd: folder, env })
    nats = await startConfiguredNats(
      port,
      printed('')
        .replace('0.0.0.0:8443', `127.0.0.1:${port}`)
        .replaceAll(/"(\w+\.(?:crt|key))"/g, `"${folder}/$1"`)
        .replace('timeout: 2', 'timeout: 20'),
    )
  })

  test('are found by both, and nobody else', async () => {
    for (const [name, isUser] of [
      ['ada', true],
      ['bob', true],
      ['eve', false],
    ] as const) {
      const { accepted } = await nats.connect(people[name])
      const { status } = await gateway.get('/reports', { as: people[name] })
      expect([name, accepted, status]).toEqual([name, isUser, isUser ? 200 : 401])
    }
  })

  test('may do what stands in the place of their permissions', async () => {
    const statuses = async (as: keyof typeof people) => [
      (await gateway.get('/orders', { as: people[as] })).status,
      (await gateway.get('/reports/1', { as: people[as] })).status,
      (await gateway.get('/reports/1', { as: people[as], method: 'POST' })).status,
    ]
    expect(await statuses('ada')).toEqual([200, 200, 403])
    expect(await statuses('bob')).toEqual([403, 200, 403])
  })
})
