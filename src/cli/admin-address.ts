/**
 * Finds the admin listener of a running gateway, for Docker's health check. That is a process of its own, which runs every few seconds and so reads
 * only one setting of the file.
 */
import { existsSync, readFileSync } from 'node:fs'
import { parse } from 'yaml'
import { substitute } from '../config/environment/substitution.ts'

const DEFAULT = '127.0.0.1:9901'
const DEFAULT_FILE = 'conf/sallyport.yaml'

/**
 * @param command the command line of the gateway, with its `-c FILE`
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

/** As commander reads it: `-c FILE`, `-cFILE`, `--config FILE`, `--config=FILE`; the last one counts. */
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
    // For example an alias whose anchor is elsewhere.
    return (parse(text) as Written | null)?.admin?.listen
  }
}

interface Written {
  readonly admin?: { readonly listen?: unknown } | null
}

/**
 * The lines of the block `admin`: the rest may be ten thousand routes, which would take seconds each time. The whole text where no line begins the
 * block, as in JSON.
 */
function adminBlock(text: string): string {
  const lines = text.split(/\r?\n/)
  const first = lines.findIndex((line) => /^["']?admin["']?\s*:/.test(line))
  if (first === -1) return /\badmin\b/.test(text) ? text : ''
  const end = lines.findIndex((line, i) => i > first && /^[^\s#]/.test(line))
  return lines.slice(first, end === -1 ? undefined : end).join('\n')
}
