/**
 * Settings in a dump of Kong that have Kong's default, and fields that only Kong's tools read. They are accepted where they describe what happens
 * here anyway.
 */

type Settings = Readonly<Record<string, unknown>>

/** Words without a setting here, each with the values that change nothing. Any other value is refused. */
const HARMLESS: Readonly<Record<string, (value: unknown) => boolean>> = {
  healthchecks: (value) => isMap(value) && !checksActively(value.active) && !checksPassively(value.passive),
  use_srv_name: (value) => value === false,
  // decK's defaults fill in what the file leaves out; without any it is a note of which entities were dumped.
  _info: (value) => isMap(value) && isNothing(value.defaults),
  // The workspace that decK sends the file to.
  _workspace: (value) => typeof value === 'string',
  _konnect: isMap,
}

/** Whether a word of Kong without a setting here may have this value. Null means "not set", as in Kong. */
export function changesNothing(word: string, value: unknown): boolean {
  return isNothing(value) || (Object.hasOwn(HARMLESS, word) && HARMLESS[word]?.(value) === true)
}

/** Whether a plugin is declared and switched off. */
export function isDisabled(plugin: unknown): boolean {
  return isMap(plugin) && plugin.enabled === false
}

/** Kong's default for both intervals is 0, which is never. */
function checksActively(active: unknown): boolean {
  if (isNothing(active)) return false
  if (!isMap(active)) return true
  return [active.healthy, active.unhealthy].some((side) => !isNothing(side) && !isZero(side, ['interval']))
}

/** Kong's default for how much makes a target unhealthy is 0, which is nothing. */
function checksPassively(passive: unknown): boolean {
  if (isNothing(passive)) return false
  if (!isMap(passive)) return true
  return !isNothing(passive.unhealthy) && !isZero(passive.unhealthy, ['http_failures', 'tcp_failures', 'timeouts'])
}

function isZero(settings: unknown, names: readonly string[]): boolean {
  return isMap(settings) && names.every((name) => isNothing(settings[name]) || settings[name] === 0)
}

function isNothing(value: unknown): boolean {
  if (value === undefined || value === null) return true
  return typeof value === 'object' && Object.keys(value).length === 0
}

function isMap(value: unknown): value is Settings {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
