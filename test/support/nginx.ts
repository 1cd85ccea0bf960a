/** The real nginx, in the foreground, with everything that it writes in a temporary folder. */

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Child, startChild } from './children.ts'
import { temporaryFolder } from './folder.ts'
import { accepts } from './free-port.ts'
import { findCommand } from './peers.ts'
import { waitFor } from './wait.ts'

export interface Nginx {
  readonly child: Child
  /** The error log. */
  readonly errors: string
}

/** Starts nginx with the given content of `http { }` and waits until it accepts on `port`. */
export async function startNginx(port: number, http: string): Promise<Nginx> {
  const folder = temporaryFolder()
  const file = join(folder, 'nginx.conf')
  writeFileSync(file, configuration(folder, http))
  const child = startChild(findCommand('nginx') ?? 'nginx', ['-c', file, '-e', 'stderr', '-p', folder])
  await waitFor('nginx', async () => !child.running || (await accepts(port)))
  if (!child.running) throw new Error(`nginx did not start: ${(await child.exited).stderr}`)
  return {
    child,
    get errors() {
      return child.stderr
    },
  }
}

// One process: without a master no worker changes its user, so that it can read the folder whoever runs the tests.
function configuration(folder: string, http: string): string {
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (kind) => `${kind}_temp_path ${folder}/${kind};`,
  )
  return `
daemon off;
master_process off;
pid ${folder}/nginx.pid;
error_log stderr info;
events { worker_connections 256; }
http {
  access_log off;
  ssl_protocols TLSv1.2 TLSv1.3;
  large_client_header_buffers 8 64k;
  proxy_buffer_size 64k;
  proxy_buffers 8 64k;
  proxy_busy_buffers_size 128k;
  ${paths.join('\n  ')}
  ${http}
}
`
}
