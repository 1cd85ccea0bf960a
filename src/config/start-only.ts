import type { Problem } from '../errors.ts'
import { listenText } from './addresses.ts'
import type { Config } from './config.ts'
import type { LoadedConfig } from './load.ts'

/** What a reload does not make anew. */
const START_ONLY: Readonly<Record<string, (config: Config) => string>> = {
  workers: ({ workers }) => String(workers),
  'admin.listen': ({ admin: { listen } }) => (listen === 'off' ? 'off' : listenText(listen)),
}

/** The settings that have changed since the start and that only the next one takes. */
export function waitingForStart(started: Config, { config, locate }: LoadedConfig): Problem[] {
  return Object.entries(START_ONLY).flatMap(([path, read]) => {
    if (!config || read(config) === read(started)) return []
    const message = `a change takes effect at the next start; until then it is ${read(started)}`
    return [{ ...locate(path), message }]
  })
}
