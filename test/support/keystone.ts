/** Debian's own Keystone on loopback, with SQLite: what ours is compared with. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { run, startChild } from './children.ts'
import { type Answer, type Ask, ask } from './client.ts'
import { temporaryFolder } from './folder.ts'
import { freePort } from './free-port.ts'
import { waitFor } from './wait.ts'

/** Debian's Python, which sees Debian's packages. */
export const PYTHON = '/usr/bin/python3'
export const KEYSTONE_PEERS = ['keystone-manage']

export interface Keystone {
  /** With `/v3`. */
  readonly url: string
  readonly adminPassword: string
  ask(path: string, options?: Ask): Promise<Answer>
}

/** One process: what takes time is loading Keystone. Each step gets a copy of its own, as they leave things behind. */
const MANAGE = `
import json, os, sqlite3, sys
from keystone.cmd import manage
for step in json.loads(sys.argv[1]):
    if os.fork() == 0:
        sys.argv = ['keystone-manage', *step]
        sys.exit(manage.main())
    if os.wait()[1] != 0: sys.exit('keystone-manage ' + step[2])
# Keystone keeps reading connections open, which would lock out its own writes.
sqlite3.connect(sys.argv[2]).execute('PRAGMA journal_mode=WAL')
`

const SERVER = `
import sys
from wsgiref.simple_server import WSGIRequestHandler, make_server
port, config = int(sys.argv[1]), sys.argv[2]
sys.argv = ['keystone', '--config-file', config]
from keystone.server.wsgi import initialize_public_application
class Quiet(WSGIRequestHandler):
    def log_message(self, *args): pass
make_server('127.0.0.1', port, initialize_public_application(), handler_class=Quiet).serve_forever()
`

/** @param methods what `[auth] methods` says */
export async function startKeystone(methods: readonly string[]): Promise<Keystone> {
  const folder = temporaryFolder()
  const port = await freePort()
  const adminPassword = 'admin-of-the-test'
  const config = join(folder, 'keystone.conf')
  const repositories = ['fernet_tokens', 'credential', 'fernet_receipts']
  for (const name of repositories) mkdirSync(join(folder, name), { mode: 0o700 })
  writeFileSync(
    config,
    [
      '[database]',
      `connection = sqlite:///${join(folder, 'keystone.db')}`,
      '[token]',
      'provider = fernet',
      '[auth]',
      `methods = ${methods.join(',')}`,
      // bcrypt would take most of the time of the test.
      '[identity]',
      'password_hash_rounds = 4',
      ...repositories.flatMap((name) => [`[${name}]`, `key_repository = ${join(folder, name)}`]),
    ].join('\n'),
  )
  const { username } = userInfo()
  const owner = ['--keystone-user', username, '--keystone-group', username]
  const url = `http://127.0.0.1:${port}/v3`
  const urls = ['admin', 'internal', 'public'].flatMap((face) => [`--bootstrap-${face}-url`, `${url}/`])
  await manage(config, join(folder, 'keystone.db'), [
    ['db_sync'],
    ...['fernet_setup', 'credential_setup', 'receipt_setup'].map((step) => [step, ...owner]),
    ['bootstrap', '--bootstrap-password', adminPassword, ...urls, '--bootstrap-region-id', 'RegionOne'],
  ])
  const server = startChild(PYTHON, ['-c', SERVER, String(port), config], { cwd: folder })
  const answers = async () => {
    if (!server.running) throw new Error(`keystone ended: ${server.stderr}`)
    return ask(port, '/v3', { plain: true }).then(
      ({ status }) => status === 200,
      () => false,
    )
  }
  await waitFor('Keystone to answer', answers, 60)
  return { url, adminPassword, ask: (path, options) => ask(port, path, { plain: true, ...options }) }
}

async function manage(config: string, database: string, steps: readonly (readonly string[])[]): Promise<void> {
  const whole = steps.map((step) => ['--config-file', config, ...step])
  const { status, stderr } = await run(PYTHON, ['-c', MANAGE, JSON.stringify(whole), database])
  if (status !== 0) throw new Error(`Keystone could not be set up: ${stderr}`)
}
