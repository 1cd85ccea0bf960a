/** The real HAProxy, in the foreground. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Child, startChild } from './children.ts'
import { temporaryFolder } from './folder.ts'
import { accepts } from './free-port.ts'
import { findCommand } from './peers.ts'
import { waitFor } from './wait.ts'

/** Starts HAProxy with the given sections and waits until it accepts on `port`. */
export async function startHaproxy(port: number, sections: string): Promise<Child> {
  const file = join(temporaryFolder(), 'haproxy.cfg')
  writeFileSync(file, `${GLOBAL}\n${sections}\n`)
  const child = startChild(findCommand('haproxy') ?? 'haproxy', ['-f', file, '-db'])
  await waitFor('haproxy', async () => !child.running || (await accepts(port)))
  if (!child.running) throw new Error(`haproxy did not start: ${(await child.exited).stderr}`)
  return child
}

// Header values hold whole certificates.
const GLOBAL = `
global
  nbthread 1
  maxconn 100
  tune.bufsize 65536
  tune.maxrewrite 32768
defaults
  mode http
  no log
  timeout connect 5s
  timeout client 10s
  timeout server 10s
`
