// docs/identity-api.md: what it prints, with the real openstack client; only names, ports and the secrets that it leaves out are replaced.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, jest, test } from '@jest/globals'
import { parse } from 'yaml'
import { decodeBase32, totp } from '../../src/auth/methods/totp.ts'
import { type Exit, run } from '../support/children.ts'
import { temporaryFolder } from '../support/folder.ts'
import { type Gateway, PROJECT, sallyport } from '../support/gateway.ts'
import { TOTP_SECRET } from '../support/identity.ts'
import { OPENSTACK_PEERS } from '../support/openstack.ts'
import { describeWith } from '../support/peers.ts'
import { makeScene, type Scene } from '../support/scene.ts'

/** Python takes seconds to load these clients, and much longer on a busy machine. */
jest.setTimeout(240_000)

const blocks = [...readFileSync(join(PROJECT, 'docs/identity-api.md'), 'utf8').matchAll(/```(\w+)\n([\s\S]*?)```/g)]
const [configuration = '', clouds = ''] = blocks.filter(([, language]) => language === 'yaml').map(([, , text]) => text)
const [password = '', code = ''] = blocks.filter(([, language]) => language === 'sh').map(([, , text]) => text)

describeWith([...OPENSTACK_PEERS, 'curl'], 'docs/identity-api.md', () => {
  const folder = temporaryFolder()
  let scene: Scene
  let gateway: Gateway
  const placed = (text: string) =>
    text.replaceAll('gateway.example.com', `localhost:${gateway.port}`).replaceAll('…', 'open-sesame')

  /** In a shell of its own, where nothing of the caller's environment points to another cloud. */
  function inShell(script: string): Promise<Exit> {
    const env = { PATH: process.env.PATH ?? '', HOME: folder, XDG_CONFIG_HOME: folder, LC_ALL: 'C.UTF-8' }
    return run('bash', ['-ec', placed(script)], { cwd: folder, env })
  }

  beforeAll(async () => {
    scene = await makeScene()
    const hash = (await sallyport(['hash', '--algorithm', 'sha512'], { input: 'open-sesame\n' })).stdout.trim()
    const { consumers, ...config } = parse(
      configuration.replace('$argon2id$…', hash).replace('https://api.internal:8443', scene.backend.url),
    )
    const [ada] = consumers
    gateway = await scene.start({ ...config, consumers: [{ ...ada, totp_credentials: [{ secret: TOTP_SECRET }] }] })
    writeFileSync(join(folder, 'ca.pem'), scene.servers.certificate)
    writeFileSync(join(folder, 'clouds.yaml'), placed(clouds))
  })

  test('a password gets a token, which the API behind the gateway is told of', async () => {
    const { status, stdout, stderr } = await inShell(password)
    expect([status, stdout, stderr]).toEqual([0, expect.stringMatching(/user_id +\| ada /), expect.any(String)])
    expect(scene.backend.last.header('X-User-Name')).toEqual(['ada'])
    expect(scene.backend.last.header('X-Roles')).toEqual(['member'])
  })

  test('a code beside it', async () => {
    const now = totp(decodeBase32(TOTP_SECRET) as Buffer, Math.floor(Date.now() / 30_000))
    const { status, stdout, stderr } = await inShell(code.replace('123456', now))
    expect([status, stdout, stderr]).toEqual([0, expect.stringMatching(/user_id +\| ada /), ''])
  })
})
