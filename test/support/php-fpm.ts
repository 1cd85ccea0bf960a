/** The real PHP-FPM with one worker, on a socket of the test's. */
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Child, startChild } from './children.ts'
import { temporaryFolder } from './folder.ts'
import { findCommand } from './peers.ts'
import { waitFor } from './wait.ts'

export const PHP_FPM = findCommand('php-fpm') === undefined ? 'php-fpm8.2' : 'php-fpm'

/** Starts PHP-FPM and returns the path of its socket once it is there. */
export async function startPhpFpm(): Promise<{ readonly child: Child; readonly socket: string }> {
  const folder = temporaryFolder()
  const socket = join(folder, 'php.sock')
  const file = join(folder, 'php-fpm.conf')
  writeFileSync(
    file,
    `[global]\nerror_log = ${folder}/errors.log\ndaemonize = no\n[www]\nlisten = ${socket}\nlisten.mode = 0666\npm = static\npm.max_children = 1\n`,
  )
  // -R: it may run as root, as it does in a container.
  const child = startChild(findCommand(PHP_FPM) ?? PHP_FPM, ['-F', '-R', '-y', file])
  await waitFor('PHP-FPM', () => !child.running || existsSync(socket))
  if (!child.running) throw new Error(`PHP-FPM did not start: ${(await child.exited).stderr}`)
  return { child, socket }
}
