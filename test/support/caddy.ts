/** The real Caddy, in the foreground, with its state in a temporary folder. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Child, startChild } from './children.ts'
import { temporaryFolder } from './folder.ts'
import { accepts } from './free-port.ts'
import { findCommand } from './peers.ts'
import { waitFor } from './wait.ts'

/** Starts Caddy with the given sites of a Caddyfile and waits until it accepts on `port`. */
export async function startCaddy(port: number, sites: string): Promise<Child> {
  const folder = temporaryFolder()
  const file = join(folder, 'Caddyfile')
  writeFileSync(file, `{\n  admin off\n  auto_https off\n  servers {\n    protocols h1\n  }\n}\n${sites}\n`)
  const env = { GOMAXPROCS: '1', HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder }
  const child = startChild(findCommand('caddy') ?? 'caddy', ['run', '--config', file, '--adapter', 'caddyfile'], {
    cwd: folder,
    env,
  })
  await waitFor('caddy', async () => !child.running || (await accepts(port)))
  if (!child.running) throw new Error(`caddy did not start: ${(await child.exited).stderr}`)
  return child
}
