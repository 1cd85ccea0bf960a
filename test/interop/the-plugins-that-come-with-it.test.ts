import { writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { type Child, startChild } from '../support/children.ts'
import { temporaryFile, temporaryFolder } from '../support/folder.ts'
import { PROJECT } from '../support/gateway.ts'
import { describeWith } from '../support/peers.ts'
import { type Authority, authority, type Issued } from '../support/pki.ts'
import { SSSD_PEERS, type Sssd, startSssd } from '../support/sssd.ts'
import { waitFor } from '../support/wait.ts'

let ca: Authority
beforeAll(() => {
  ca = authority('clients')
})

interface Started {
  readonly child: Child
  ask(certificate: Issued): Promise<{ status: number; body: { AuthedUser?: object; Err?: string } }>
}

async function started(program: string, args: readonly string[], env: Record<string, string> = {}): Promise<Started> {
  const socket = join(temporaryFolder(), 'plugin.sock')
  const child = startChild(process.execPath, [join(PROJECT, 'plugins', program), ...args, '--socket', socket], { env })
  await waitFor('the plugin to listen', () => {
    if (!child.running) throw new Error(child.stderr)
    return child.stdout.includes('listening')
  })
  return {
    child,
    ask: ({ der }) =>
      post(socket, 'ClientCertificateMapper.MapClientCertificateToUser', {
        Certificate: der.toString('base64'),
        Options: {},
      }),
  }
}

function post(socketPath: string, method: string, body: object): ReturnType<Started['ask']> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, path: `/${method}`, method: 'POST' }, (response) => {
      text(response).then((answer) => resolve({ status: response.statusCode ?? 0, body: JSON.parse(answer) }), reject)
    })
    sent.on('error', reject).end(JSON.stringify(body))
  })
}

describe('the plugin that reads a file', () => {
  test('matches exactly: mail address, DNS name, fingerprint, key', async () => {
    const ada = ca.client('ada', { emails: ['ada@example.com'] })
    const builder = ca.client('builder', { hosts: ['build.example.com'] })
    const printed = ca.client('printed')
    const keyed = ca.client('keyed')
    const spki = keyed.x509.publicKey.export({ type: 'spki', format: 'der' })
    const { createHash } = await import('node:crypto')
    const rules = [
      '- { email: ada@example.com, user: ada, groups: [dev, ops] }',
      '- { dns: build.example.com, user: builder, uid: 1001 }',
      `- { fingerprint: "${printed.x509.fingerprint256}", user: printed }`,
      `- { spki: ${createHash('sha256').update(spki).digest('hex')}, user: keyed }`,
    ]
    const plugin = await started('certmap-file.js', ['--rules', temporaryFile('users.yaml', rules.join('\n'))])
    expect((await plugin.ask(ada)).body).toEqual({ AuthedUser: { Name: 'ada', Groups: ['dev', 'ops'] } })
    expect((await plugin.ask(builder)).body).toEqual({
      AuthedUser: { Name: 'builder', Groups: [], HaveUID: true, UID: 1001 },
    })
    expect((await plugin.ask(printed)).body).toMatchObject({ AuthedUser: { Name: 'printed' } })
    expect((await plugin.ask(keyed)).body).toMatchObject({ AuthedUser: { Name: 'keyed' } })
    for (const stranger of [
      ca.client('ada@example.com'),
      ca.client('build.example.com'),
      ca.client('x', { hosts: ['*.example.com'] }),
      ca.client('y', { hosts: ['ada@example.com'] }),
    ]) {
      expect(await plugin.ask(stranger)).toEqual({ status: 200, body: {} })
    }
  })

  test('reads its file again when it changes, and keeps its rules where the new ones are broken', async () => {
    const ada = ca.client('ada', { emails: ['ada@example.com'] })
    const file = temporaryFile('users.yaml', '[]')
    const plugin = await started('certmap-file.js', ['--rules', file])
    expect((await plugin.ask(ada)).body).toEqual({})
    writeFileSync(file, '- { email: ada@example.com, user: ada }')
    await waitFor('the new rules', async () => 'AuthedUser' in (await plugin.ask(ada)).body)
    writeFileSync(file, '- { cn: ada, user: root }')
    await waitFor('the complaint', () => plugin.child.stderr.includes('rule 1: expected one of email, dns'))
    expect((await plugin.ask(ada)).body).toMatchObject({ AuthedUser: { Name: 'ada' } })
  })
})

describeWith(SSSD_PEERS, 'the plugin that asks SSSD over D-Bus', () => {
  let sssd: Sssd
  beforeAll(async () => {
    sssd = await startSssd()
  })
  const ask = () => started('certmap-sss.js', [], { DBUS_SYSTEM_BUS_ADDRESS: sssd.bus })

  test('finds the user of a certificate, with UID and groups', async () => {
    const ada = ca.client('somebody')
    writeFileSync(join(sssd.users, 'ada.pem'), ada.certificate)
    const plugin = await ask()
    expect(await plugin.ask(ada)).toEqual({
      status: 200,
      body: { AuthedUser: { Name: 'ada', Groups: ['ada', 'staff'], HaveUID: true, UID: 1003 } },
    })
    expect(await plugin.ask(ca.client('somebody'))).toEqual({ status: 200, body: {} })
  })

  test('fails where several users have the certificate, and where SSSD is away; then finds it again', async () => {
    const both = ca.client('both')
    const plugin = await ask()
    for (const name of ['one', 'other']) writeFileSync(join(sssd.users, `${name}.pem`), both.certificate)
    expect(await plugin.ask(both)).toMatchObject({
      status: 500,
      body: { Err: expect.stringContaining('More than one user') },
    })
    await sssd.stop()
    expect((await plugin.ask(both)).status).toBe(500)
    await sssd.start()
    expect(await plugin.ask(ca.client('nobody'))).toEqual({ status: 200, body: {} })
  })
})
