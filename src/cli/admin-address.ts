/** Where the admin listener of a running gateway is: for Docker's health check, a process of its own that comes every few seconds and so looks at one setting of the file alone. */
import { existsSync, readFileSync } from 'node:fs'
import { parse } from 'yaml'
import { substitute } from '../config/substitution.ts'

const DEFAULT = '127.0.0.1:9901'
const DEFAULT_FILE = 'conf/sallyport.yaml'

/**
 * @param command what the gateway was started with, `-c FILE` among it
 * @throws Error where the file cannot be read: the gateway goes on with what it had read before
 */
export function adminAddress(command: readonly string[], env: NodeJS.ProcessEnv): string {
  const told = env.SALLYPORT_ADMIN_LISTEN || contentOf(env.SALLYPORT_ADMIN_LISTEN_FILE)
  if (told) return told
  const file = fileOf(command) ?? (env.SALLYPORT_CONFIG || (existsSync(DEFAULT_FILE) ? DEFAULT_FILE : undefined))
  if (file === undefined) return DEFAULT
  const listen = listenOf(readFileSync(file, 'utf8'))
  return listen === undefined ? DEFAULT : substitute(String(listen), (name) => env[name]).text
}

function contentOf(file: string | undefined): string | undefined {
  return file ? readFileSync(file, 'utf8').trim() : undefined
}

/** As commander reads it: `-c FILE`, `-cFILE`, `--config FILE`, `--config=FILE`; of several the last one. */
function fileOf(command: readonly string[]): string | undefined {
  const options = command.includes('run') ? command.slice(command.indexOf('run')) : []
  const at = options.findLastIndex((each) => /^(-c|--config$|--config=)/.test(each))
  const option = options[at]
  if (option === '-c' || option === '--config') return options[at + 1]
  return option?.replace(/^(--config=|-c)/, '')
}

function listenOf(text: string): unknown {
  try {
    return (parse(adminBlock(text)) as Written | null)?.admin?.listen
  } catch {
    // An alias, say, whose anchor stands elsewhere.
    return (parse(text) as Written | null)?.admin?.listen
  }
}

interface Written {
  readonly admin?: { readonly listen?: unknown } | null
}

/** The lines of that block: the rest may be ten thousand routes, and would take seconds each time. All, where it begins no line, as in JSON. */
function adminBlock(text: string): string {
  const lines = text.split(/\r?\n/)
  const first = lines.findIndex((line) => /^["']?admin["']?\s*:/.test(line))
  if (first === -1) return /\badmin\b/.test(text) ? text : ''
  const end = lines.findIndex((line, i) => i > first && /^[^\s#]/.test(line))
  return lines.slice(first, end === -1 ? undefined : end).join('\n')
}
