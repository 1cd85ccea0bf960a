import { closeSync, openSync } from 'node:fs'
import type { Log } from '../log/log.ts'
import { Refusals } from '../refusals.ts'
import { limitOfOpenFiles } from './open-files.ts'

/** How often to check for a free descriptor, in milliseconds. */
const INTERVAL = 200

/**
 * Logs when no file descriptor is left, for as long as the process lives. Nothing else would show it where connections are accepted: libuv just
 * closes them. A shortage that is shorter than the interval goes unseen, such as a burst at a supervisor, which accepts for all workers.
 * @param exhausted called each time that no descriptor is left
 */
export function watchOpenFiles(log: Pick<Log, 'error'>, exhausted: () => void = () => {}): void {
  const limit = limitOfOpenFiles()
  const lacks = new Refusals<string>(({ reason: code, count }) => {
    log.error({ code, limit, times: count }, 'too many open files: new connections are closed, and no file can be read')
  })
  const look = (): void => {
    const code = failureToOpen()
    if (code === undefined) return
    exhausted()
    lacks.note(code, undefined)
  }
  setInterval(look, INTERVAL).unref()
}

/** EMFILE where the process has reached its limit, ENFILE where the system has. Any file will do. */
function failureToOpen(): string | undefined {
  try {
    closeSync(openSync('/', 'r'))
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EMFILE' || code === 'ENFILE') return code
  }
  return undefined
}
