import type { Problem } from '../errors.ts'
import type { LoadedConfig } from './load.ts'
import type { Config } from './schema/config.ts'

/** Warns where `workers` has changed since the start: only the next one takes it. */
export function waitingForStart(started: Config, { config, locate }: LoadedConfig): Problem[] {
  if (!config || config.workers === started.workers) return []
  const message = `a change takes effect at the next start; until then it is ${started.workers}`
  return [{ ...locate('workers'), message }]
}
