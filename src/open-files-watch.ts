import { closeSync, openSync } from 'node:fs'
import type { Log } from './log.ts'
import { limitOfOpenFiles } from './open-files.ts'
import { Refusals } from './refusals.ts'

/** How often it is looked whether there is a descriptor left, in milliseconds. */
const INTERVAL = 200

/**
 * For as long as the process lives, logs that no descriptor is left. Where connections are accepted nothing else tells: libuv closes them. What is over within
 * that time goes unseen, such as a burst that fills a supervisor, who accepts for all workers, for a moment.
 *
 * @param exhausted is called each time that it is so
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

/** EMFILE where the process has all that it may have, ENFILE where the system has. Any file will do. */
function failureToOpen(): string | undefined {
  try {
    closeSync(openSync('/', 'r'))
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EMFILE' || code === 'ENFILE') return code
  }
  return undefined
}
