/** Warns of Kong's variables that are not read, with their equivalent here. Ignored silently, one of them may be what demanded certificates. */
import type { Problem } from '../../errors.ts'
import { remedyOfKong, remedyOfNginx } from '../unknown-settings.ts'
import { isOfKubernetes } from './unknown-variables.ts'
import { BY_VARIABLE, ENVIRONMENT, type Variables } from './variables.ts'

/** Kong's way to write nginx's directives. */
const DIRECTIVE = /^nginx_(?:main|events|http|proxy|status|admin|upstream|location)_(\w+)$/

/** Describes what happens anyway: Kong's image and its charts set these. */
const SO_ANYWAY: ReadonlySet<string> = new Set([
  'KONG_DATABASE=off',
  'KONG_CLIENT_SSL=on',
  'KONG_NGINX_DAEMON=off',
  'KONG_PROXY_ACCESS_LOG=/dev/stdout',
  'KONG_PROXY_ERROR_LOG=/dev/stderr',
  'KONG_ADMIN_ACCESS_LOG=/dev/stdout',
  'KONG_ADMIN_ERROR_LOG=/dev/stderr',
])

/** A warning for each variable with an equivalent, and one for all others. No value is shown, since some are passwords. */
export function unreadOfKong(env: Variables): Problem[] {
  const others: string[] = []
  const warnings: Problem[] = []
  // process.env looks each value up from its start: Kubernetes gives a pod seven variables for each service of a namespace, which may be thousands.
  for (const name of Object.keys(env)) {
    if (!name.startsWith('KONG_')) continue
    const value = env[name] ?? ''
    if (value === '' || BY_VARIABLE.has(name.replace(/_FILE$/, ''))) continue
    if (isOfKubernetes(name, value) || SO_ANYWAY.has(`${name}=${value}`)) continue
    const remedy = remedyFor(name.slice('KONG_'.length))
    if (remedy === undefined) others.push(name)
    else warnings.push({ path: name, source: ENVIRONMENT, message: `is Kong's and not read; ${remedy}` })
  }
  if (others.length === 0) return warnings
  const message = others.length === 1 ? "is Kong's and does nothing here" : "are Kong's and do nothing here"
  return [...warnings, { path: others.join(', '), source: ENVIRONMENT, message }]
}

function remedyFor(name: string): string | undefined {
  const word = name.toLowerCase()
  const told = remedyOfKong(word)
  if (told !== undefined) return told
  const directive = DIRECTIVE.exec(word)?.[1] ?? word
  const ours = `SALLYPORT_${directive.toUpperCase()}`
  return BY_VARIABLE.has(ours) ? `write ${ours}` : remedyOfNginx(directive)
}
