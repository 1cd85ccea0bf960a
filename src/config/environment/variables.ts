/** The variables of the environment that are read, and what they hold, also where that was removed. */
import { schema } from '../schema/config.ts'
import { allSettings, blockOf, type Setting } from '../schema/settings.ts'

export type Variables = NodeJS.ProcessEnv

/** The source of problems with variables. */
export const ENVIRONMENT = 'environment'
export const CONFIG_FILE = 'SALLYPORT_CONFIG'
export const UPSTREAM_URL = 'SALLYPORT_UPSTREAM_URL'

/** The settings that a variable can give, by the variable's name. */
export const BY_VARIABLE: ReadonlyMap<string, Setting> = new Map(
  [...allSettings(blockOf(schema))].flatMap((setting) => setting.field.env.map((name) => [name, setting] as const)),
)

/** What was removed from an environment, so that a reload finds it again. */
const taken = new WeakMap<Variables, Map<string, string>>()

/** A copy of `env` with the removed secrets, for a child process that must read them itself. */
export function withSecrets(env: Variables): Variables {
  return { ...env, ...Object.fromEntries(taken.get(env) ?? []) }
}

/** The value of a variable, even of a removed one. As in Kong, an empty one counts as not set. */
export function variable(env: Variables, name: string): string | undefined {
  return env[name] ?? taken.get(env)?.get(name)
}

/**
 * Removes a variable from `env`: child processes and crash reports should not hold a key. (/proc/PID/environ still shows what the process was started
 * with.)
 * @param kept what `variable` finds from now on, and by which name
 */
export function takeOut(env: Variables, name: string, kept = { as: name, value: env[name] }): void {
  if (kept.value === undefined) return
  const values = taken.get(env) ?? new Map<string, string>()
  taken.set(env, values.set(kept.as, kept.value))
  delete env[name]
}
