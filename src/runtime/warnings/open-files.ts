/** Warns at the start where the system's limit of open files is too low for the connections that the configuration allows, as nginx does. */
import type { Config } from '../../config/index.ts'
import { OpenFiles } from '../../process/open-files.ts'
import type { Lasting } from '../lasting.ts'
import { maxConnectionsOf } from '../listener-settings.ts'
import type { Materials } from '../materials.ts'

/** Room for fewer clients than this is worth a warning even where the configuration sets no number. */
const FEW_CLIENTS = 1024

export function warnOfOpenFiles(
  { listeners }: Config,
  upstreams: number,
  { openFiles, workers }: Pick<Lasting, 'openFiles' | 'workers'>,
  materials: Materials,
): void {
  const chosen = listeners.filter(({ max_connections }) => max_connections !== undefined)
  const first = chosen[0] ?? listeners[0]
  const wanted = chosen.reduce((sum, listener) => sum + maxConnectionsOf(listener, workers), 0) || FEW_CLIENTS
  const room = openFiles.clientsBeside(upstreams)
  if (!first || room >= wanted) return
  const process = workers > 1 ? 'each worker' : 'the process'
  const [what, or] = chosen.length > 0 ? [`${wanted} connections do not fit`, ', or set less'] : ['few fit', '']
  materials.warn(
    `${first.at}.max_connections`,
    `${what} into the limit of open files of ${process}, ${openFiles.limit}: it accepts no more than ${room}, so that connections to upstreams and reloads find room; raise the limit to ${OpenFiles.limitFor(wanted, upstreams)} (ulimit -n, LimitNOFILE= of systemd, --ulimit nofile= of Docker)${or}`,
  )
}
