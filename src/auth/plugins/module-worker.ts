/** The thread of one module plugin: whatever its code does, requests are served on another one. */
import { pathToFileURL } from 'node:url'
import { type MessagePort, workerData } from 'node:worker_threads'
import type { PluginAnswer, PluginCall } from './plugin.ts'
import { LONGEST_ANSWER, wordsOf } from './plugin.ts'

export interface ModuleSettings {
  /** Absolute. */
  readonly path: string
  readonly settings: Readonly<Record<string, string>>
  /** The channel to the gateway's thread. The plugin could use `parentPort` too, and its messages would be taken for ours. */
  readonly port: MessagePort
}

export type ModuleMessage =
  | { readonly kind: 'ready' }
  | { readonly kind: 'unusable'; readonly reason: string }
  | { readonly kind: 'alive' }
  /** `answer` is JSON. */
  | { readonly kind: 'answer'; readonly id: number; readonly answer: string }
  | { readonly kind: 'broke'; readonly id: number; readonly reason: string }

export type ModuleOrder =
  | { readonly kind: 'ask'; readonly id: number; readonly call: PluginCall }
  | { readonly kind: 'ping' }

type Authenticate = (context: unknown, payload: unknown, authContext: unknown) => unknown

const { path, settings, port } = workerData as ModuleSettings
delete (workerData as Partial<{ -readonly [Key in keyof ModuleSettings]: unknown }>).port
const say = (message: ModuleMessage) => port.postMessage(message)

/** A function, or an object or class that has it, as Keystone's plugins are classes. */
async function load(): Promise<Authenticate> {
  const module = (await import(pathToFileURL(path).href)) as Record<string, unknown>
  const main = module.default
  const made = isClass(main) ? new main(settings) : main
  for (const holder of [module, made]) {
    const found = (holder as { authenticate?: unknown } | undefined)?.authenticate
    if (typeof found === 'function') return found.bind(holder) as Authenticate
  }
  throw new Error('exports no function "authenticate", nor a class or object that has one')
}

function isClass(value: unknown): value is new (settings: unknown) => unknown {
  return typeof value === 'function' && /^class\b/.test(Function.prototype.toString.call(value))
}

async function answer(
  authenticate: Authenticate,
  { context, payload, auth_context }: PluginCall,
): Promise<PluginAnswer> {
  const set: Record<string, unknown> = {}
  // Only members that the plugin sets itself count. Otherwise a plugin that does nothing would confirm the user whom others found before it.
  const authContext = new Proxy<Record<string, unknown>>(
    { ...auth_context },
    {
      set(target, name, value) {
        target[String(name)] = value
        set[String(name)] = value
        return true
      },
    },
  )
  try {
    return { kind: 'returned', value: await authenticate(context, payload, authContext), set }
  } catch (error) {
    if (isUnauthorized(error)) return { kind: 'unauthorized', reason: `said no: ${wordsOf(error)}` }
    throw error
  }
}

function isUnauthorized(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false
  const { name, status, code } = error as { name?: unknown; status?: unknown; code?: unknown }
  return name === 'Unauthorized' || status === 401 || code === 401
}

function written(given: PluginAnswer): string {
  try {
    const text = JSON.stringify(given)
    if (text.length <= LONGEST_ANSWER) return text
    return JSON.stringify({ kind: 'unusable', reason: `answered with ${text.length} characters` })
  } catch (error) {
    return JSON.stringify({ kind: 'unusable', reason: `answered with what is no JSON: ${wordsOf(error)}` })
  }
}

try {
  const authenticate = await load()
  port.on('message', (order: ModuleOrder) => {
    if (order.kind === 'ping') return say({ kind: 'alive' })
    const { id } = order
    answer(authenticate, order.call).then(
      (given) => say({ kind: 'answer', id, answer: written(given) }),
      (error) => say({ kind: 'broke', id, reason: wordsOf(error) }),
    )
  })
  say({ kind: 'ready' })
} catch (error) {
  say({ kind: 'unusable', reason: wordsOf(error) })
}
