/** The real Apache httpd, as one process in the foreground: its children would outlive it. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Child, startChild } from './children.ts'
import { temporaryFolder } from './folder.ts'
import { accepts } from './free-port.ts'
import { findCommand } from './peers.ts'
import { waitFor } from './wait.ts'

const MODULES = ['mpm_event', 'authz_core', 'ssl', 'headers', 'proxy', 'proxy_http']

/** Starts it with the given directives of one virtual host, and waits until it accepts on `port`. */
export async function startApache(port: number, directives: string): Promise<Child> {
  const folder = temporaryFolder()
  const file = join(folder, 'httpd.conf')
  writeFileSync(file, configuration(folder, port, directives))
  const child = startChild(findCommand('apache2') ?? 'apache2', ['-f', file, '-X'])
  await waitFor('apache2', async () => !child.running || (await accepts(port)))
  if (!child.running) throw new Error(`apache2 did not start: ${(await child.exited).stderr}`)
  return child
}

// Header values hold whole certificates.
function configuration(folder: string, port: number, directives: string): string {
  return `
${MODULES.map((name) => `LoadModule ${name}_module /usr/lib/apache2/modules/mod_${name}.so`).join('\n')}
ServerRoot ${folder}
DefaultRuntimeDir ${folder}
PidFile ${folder}/httpd.pid
ErrorLog ${folder}/error.log
ServerName localhost
Listen 127.0.0.1:${port}
User nobody
Group nogroup
StartServers 1
LimitRequestFieldSize 65536
<VirtualHost 127.0.0.1:${port}>
${directives}
</VirtualHost>
`
}
