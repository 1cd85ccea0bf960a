/** Reads settings from the environment, and removes the secrets from it. */

import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Problem } from '../errors.ts'
import { readBounded } from './bounded-file.ts'
import { schema } from './config.ts'
import { Unfit } from './field.ts'
import { nearest } from './nearest.ts'
import { looksLikePath, type PemReader } from './pem.ts'
import type { Places } from './place.ts'
import { allSettings, blockOf, type Setting } from './settings.ts'
import { remedyOfNginx } from './unknown-settings.ts'
import type { Tree } from './yaml-reader.ts'

export type Variables = NodeJS.ProcessEnv

export const ENVIRONMENT = 'environment'
const EMPTY = 'is empty; give it a value, or do not set it at all'
const QUOTED =
  'begins and ends with a quote, which is taken for a part of the value; remove both where they are not meant'
const BLANK = 'begins or ends with a blank; remove it where it is not meant'
export const CONFIG_FILE = 'SALLYPORT_CONFIG'
export const UPSTREAM_URL = 'SALLYPORT_UPSTREAM_URL'

/** The settings that a variable can give, by the variable's name. */
export const BY_VARIABLE: ReadonlyMap<string, Setting> = new Map(
  [...allSettings(blockOf(schema))].flatMap((setting) => setting.field.env.map((name) => [name, setting] as const)),
)

const KNOWN = new Set([CONFIG_FILE, ...[...BY_VARIABLE.keys(), UPSTREAM_URL].flatMap((name) => [name, `${name}_FILE`])])

/** A failed substitution would leave these empty, and that would quietly let everybody in. The same goes for their twins. */
const NEVER_EMPTY = [
  'SALLYPORT_SSL_VERIFY_CLIENT',
  'SALLYPORT_SSL_CRL',
  'SALLYPORT_SSL_CRL_FETCH',
  'SALLYPORT_SSL_OCSP',
  'SALLYPORT_SSL_CLIENT_CERTIFICATE',
  'SALLYPORT_PINNED_CERTS',
  'SALLYPORT_SSL_VERIFY_EXTENDED_KEY_USAGE',
  'SALLYPORT_SSL_VERIFY_POLICIES',
  'SALLYPORT_VERIFY_AND_MAP',
].flatMap((name) => [name, `${name}_FILE`])

const OURS = 'SALLYPORT_'

/** What other programs call it, too far from our name to be taken for a misspelling of it, or nearer to another one. */
const CALLED_ELSEWHERE = [
  ['SALLYPORT_LISTEN', 'HOST ADDRESS BIND'],
  [UPSTREAM_URL, 'UPSTREAM BACKEND TARGET URL'],
  ['SALLYPORT_SSL_CERTIFICATE', 'CERT CERTIFICATE SSL_CERT TLS_CERT SERVER_CERT'],
  ['SALLYPORT_SSL_CERTIFICATE_KEY', 'KEY SSL_KEY SSL_CERT_KEY TLS_KEY SERVER_KEY'],
  ['SALLYPORT_SSL_CLIENT_CERTIFICATE', 'CA CA_CERT SSL_CA TLS_CA CLIENT_CA'],
  ['SECRET_CLIENT_CERT', 'CLIENT_CERT'],
  ['SECRET_CLIENT_KEY', 'CLIENT_KEY'],
  ['SALLYPORT_LOG_LEVEL', 'DEBUG LOGLEVEL'],
] as const

/** The same of what begins with SECRET_CLIENT_. */
const OF_CLIENT_CALLED_ELSEWHERE = [
  ['SECRET_CLIENT_CERT', 'CERTIFICATE'],
  ['SECRET_CLIENT_KEY', 'CERT_KEY CERTIFICATE_KEY PRIVATE_KEY'],
  ['SECRET_CLIENT_KEY_PASSPHRASE', 'PASSWORD KEY_PASSWORD'],
  ['SALLYPORT_PROXY_SSL_TRUSTED_CERTIFICATE', 'CA CA_CERT'],
] as const

/** Settings without a variable. */
const ONLY_IN_FILES = new Set(
  [...allSettings(blockOf(schema))].filter(({ field }) => field.env.length === 0).map(({ key }) => key),
)

/** Kubernetes gives every pod such variables for a Service that happens to be named "sallyport", or "kong-proxy". */
const KUBERNETES =
  /^(?:SALLYPORT|KONG)_([A-Z0-9_]+_)?(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$/

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
 */
export function takeOut(env: Variables, name: string): void {
  const value = env[name]
  if (value === undefined) return
  const values = taken.get(env) ?? new Map<string, string>()
  taken.set(env, values.set(name, value))
  delete env[name]
}

export interface EnvironmentContext {
  readonly env: Variables
  readonly places: Places
  readonly pems: PemReader
}

/** Puts the settings of the environment into `tree`, over those of the file, and removes the secrets from the environment. */
export function applyEnvironment(tree: Tree, context: EnvironmentContext): Problem[] {
  const problems = [...unknownVariables(context.env), ...emptyVariables(context.env)]
  const server = defaultServer(tree)
  const settings = new Map<Setting, string[]>()
  for (const [name, setting] of BY_VARIABLE) settings.set(setting, [...(settings.get(setting) ?? []), name])
  for (const [setting, names] of settings) {
    const found = readSetting(names, context, problems, setting.field.kind.pem !== undefined)
    if (setting.field.secret) for (const name of names) takeOut(context.env, name)
    if (!found) continue
    const path = setting.path.replace('servers[]', `servers[${server}]`).replace('listeners[]', 'listeners[0]')
    if (setting.shape === 'list' && !setting.field.kind.pem && /[^,\s]\s+[^,\s]/.test(found.value)) {
      problems.push({ path: found.name, source: ENVIRONMENT, message: 'expected values that are separated by commas' })
      continue
    }
    const value = setting.shape === 'list' ? splitList(found.value) : found.value
    if (value.length === 0) {
      problems.push({ path: found.name, source: ENVIRONMENT, message: EMPTY })
      continue
    }
    if (assign(tree, path, value)) context.places.given(path, { path: found.name, source: ENVIRONMENT })
  }
  const url = readSetting([UPSTREAM_URL], context, problems)
  if (url) addUpstream(tree, url.value, context.places)
  return problems
}

interface Found {
  /** The variable that held the value, or the file's name. */
  readonly name: string
  readonly value: string
}

/** The value that a setting's variables give; reports variables that contradict each other. */
function readSetting(
  names: readonly string[],
  context: EnvironmentContext,
  problems: Problem[],
  isPem = false,
): Found | undefined {
  const found = names.flatMap((name) => candidates(name, context.env))
  const [first, second] = found
  if (!first) return undefined
  if (second) {
    // The first is used all the same, so that other problems are reported at the same time.
    problems.push({ path: second.name, source: ENVIRONMENT, message: `stands beside ${first.name}; set one of them` })
  }
  const isDescriptor = (first.isFile || isPem) && DESCRIPTOR.test(first.value)
  if (!first.isFile && !isDescriptor) return isPem ? first : { name: first.name, value: withoutLastBreak(first.value) }
  try {
    if (isDescriptor) return { name: first.name, value: keepContent(first, context.env) }
    // A key that was put here by mistake must not appear in the message.
    if (!looksLikePath(first.value) && !existsSync(first.value))
      throw new Unfit('names no file that can be read; expected the path of a file that holds the value')
    const path = resolve(first.value)
    // The file of a PEM is passed on by name and not read here: it may be a pipe, which can be read only once.
    if (isPem) return { name: first.name, value: path }
    context.pems.files.add(path)
    const content = readBounded(path)
    return { name: first.name, value: withoutLastBreak(content.toString('utf8')) }
  } catch (error) {
    if (!(error instanceof Unfit)) throw error
    problems.push({ path: first.name, source: ENVIRONMENT, message: error.message })
    return undefined
  }
}

/** What a shell makes of `<(command)`, which can be read only once, and only by this process. */
const DESCRIPTOR = /^\/(?:dev|proc\/(?:self|\d+))\/fd\/\d+$|^\/dev\/stdin$/

/** Reads a descriptor and keeps its content in place of its name, for reloads and workers. @throws Unfit */
function keepContent({ name, value: path }: Found, env: Variables): string {
  const content = withoutLastBreak(readBounded(path).toString('utf8'))
  delete env[name]
  const values = taken.get(env) ?? new Map<string, string>()
  taken.set(env, values.set(BY_VARIABLE.has(name) ? name : name.replace(/_FILE$/, ''), content))
  return content
}

/** Files end with a line break, and so do Kubernetes secrets made with `echo`. No setting ends with one. */
function withoutLastBreak(value: string): string {
  return value.replace(/\r?\n$/, '')
}

function candidates(name: string, env: Variables): (Found & { isFile: boolean })[] {
  const twin = `${name}_FILE`
  const plain = variable(env, name)
  // SALLYPORT_SSL_PASSWORD_FILE is nginx's ssl_password_file, which does all that a twin could.
  const file = BY_VARIABLE.has(twin) ? undefined : variable(env, twin)
  return [
    ...(plain ? [{ name, value: plain, isFile: false }] : []),
    ...(file ? [{ name: twin, value: file, isFile: true }] : []),
  ]
}

function splitList(written: string): string[] {
  return written
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')
}

const OURS_IN_ANY_CASE = /^(SALLYPORT_|SECRET_CLIENT_)/i

/** A misspelt variable must not be ignored: it may be the one that demands certificates. */
function unknownVariables(env: Variables): Problem[] {
  return Object.keys(env)
    .filter((name) => OURS_IN_ANY_CASE.test(name) && !KNOWN.has(name) && !isOfKubernetes(name, env[name]))
    .map((name) => ({ path: name, source: ENVIRONMENT, message: aboutUnknown(name) }))
}

export function isOfKubernetes(name: string, value = ''): boolean {
  // SALLYPORT_PORT is Kubernetes's only in the form tcp://10.0.0.1:8443; a plain number was meant for us.
  return KUBERNETES.test(name) && (name !== 'SALLYPORT_PORT' || value.includes('://'))
}

function aboutUnknown(name: string): string {
  if (name === 'SALLYPORT_PORT') return 'is no variable that Sallyport knows; SALLYPORT_LISTEN sets address and port'
  if (KNOWN.has(name.toUpperCase())) return `is not read: write ${name.toUpperCase()}, in upper case`
  const [, prefix = '', bare = ''] = /^(SALLYPORT_|SECRET_CLIENT_)(.*?)(?:_FILE)?$/.exec(name) ?? []
  const elsewhere = prefix === OURS ? CALLED_ELSEWHERE : OF_CLIENT_CALLED_ELSEWHERE
  const meant = elsewhere.find(([, words]) => words.split(' ').includes(bare))
  if (meant) return `is no variable that Sallyport knows; ${meant[0]} is what sets it here`
  const word = name.replace(/^SALLYPORT_/, '').toLowerCase()
  const foreign = remedyOfNginx(word)
  if (foreign !== undefined) return `is no variable that Sallyport knows; ${word} is nginx's: ${foreign}`
  if (ONLY_IN_FILES.has(word)) return `is no variable: write ${word} in a file (-c)`
  // The prefix is no mistake: counted in, it would make any two short words alike.
  const known = [...KNOWN].filter((each) => each.startsWith(prefix)).map((each) => each.slice(prefix.length))
  const near = nearest(bare, known) ?? known.find((each) => each.endsWith(`_${bare}`))
  return `is no variable that Sallyport knows${near === undefined ? '' : ` (did you mean "${prefix}${near}"?)`}`
}

/** So few mistakes make one of our names, which have a dozen characters and more, that it must have been meant. */
const MOST_MISTAKES = 2
/** What follows the beginning of each, and the whole. */
const ENDS = [...KNOWN].map((name) => [name.replace(/^(SALLYPORT|SECRET_CLIENT)/, ''), name] as const)

/**
 * A variable whose beginning is misspelt. It may be the one that demands certificates; but as it may also be another program's, it is only warned of.
 */
export function misspeltVariables(env: Variables): Problem[] {
  return Object.keys(env).flatMap((name) => {
    // Kubernetes gives a pod thousands of variables: comparing their ends first rules out all of them, and costs little.
    if (!/^s/i.test(name) || KNOWN.has(name) || OURS_IN_ANY_CASE.test(name)) return []
    const alike = ENDS.filter(([end]) => name.endsWith(end)).map(([, known]) => known)
    const near = nearest(name, alike, MOST_MISTAKES)
    return near === undefined
      ? []
      : [{ path: name, source: ENVIRONMENT, message: `is not read; if it is meant for Sallyport, write ${near}` }]
  })
}

function emptyVariables(env: Variables): Problem[] {
  return NEVER_EMPTY.filter((name) => env[name] === '').map((name) => ({
    path: name,
    source: ENVIRONMENT,
    message: EMPTY,
  }))
}

/**
 * Quotes, which Docker's `--env-file` and a list in compose's `environment:` hand on as they stand, and blanks at the ends. Both may be meant, in a password; so these are
 * warnings, which are told beside what such a value leads to. PEM loses both anyway.
 */
export function quotedVariables(env: Variables): Problem[] {
  return [...BY_VARIABLE, [UPSTREAM_URL, undefined] as const].flatMap(([name, setting]) => {
    const value = setting?.field.kind.pem === undefined ? variable(env, name) : undefined
    const message = value === undefined ? undefined : oddityOf(value, setting?.shape === 'list')
    return message === undefined ? [] : [{ path: name, source: ENVIRONMENT, message }]
  })
}

function oddityOf(value: string, isList: boolean): string | undefined {
  if (/^(["']).*\1$/s.test(value)) return QUOTED
  return !isList && value.trim() !== withoutLastBreak(value) ? BLANK : undefined
}

/** The index of the first listener's default server, as the file has it. */
function defaultServer(tree: Tree): number {
  const listeners = tree.listeners
  const servers: unknown = Array.isArray(listeners) ? listeners[0]?.servers : undefined
  const index = Array.isArray(servers)
    ? servers.findIndex((each) => each?.default_server === true || each?.default_server === 'on')
    : 0
  return Math.max(index, 0)
}

/**
 * Sets a value in `tree` at a path such as `listeners[0].listen`, and makes the objects on the way. False where the file has something else there,
 * which is reported anyway.
 */
export function assign(tree: Tree, path: string, value: unknown): boolean {
  const steps = path.split(/[.[\]]+/).filter((step) => step !== '')
  let current: unknown = tree
  for (const [index, step] of steps.entries()) {
    if (typeof current !== 'object' || current === null) return false
    const here = current as Tree
    if (index === steps.length - 1) here[step] = value
    else here[step] ??= /^\d+$/.test(steps[index + 1] ?? '') ? [] : {}
    current = here[step]
  }
  return true
}

/** The service and the route that SALLYPORT_UPSTREAM_URL stands for. */
function addUpstream(tree: Tree, url: string, places: Places): void {
  tree.services ??= []
  const services = tree.services
  if (!Array.isArray(services)) return
  places.given(`services[${services.length}]`, { path: UPSTREAM_URL, source: ENVIRONMENT })
  services.push({ name: 'upstream', url, routes: [{ name: 'upstream', paths: ['/'], strip_path: false }] })
}

const SECRET_PATHS = new Set(
  [...allSettings(blockOf(schema))].filter(({ field }) => field.secret).map(({ path }) => path),
)

/** Whether the setting at `path`, such as `certificates[0].key`, holds a secret. */
export function secretSetting(path: string): boolean {
  const setting = path.replaceAll(/\[\d+\]/g, '[]')
  return SECRET_PATHS.has(setting) || SECRET_PATHS.has(setting.replace(/\[\]$/, ''))
}

const VERBATIM_PATHS = new Set(
  [...allSettings(blockOf(schema))].filter(({ field }) => field.kind.verbatim).map(({ path }) => path),
)

/** Whether `${…}` in the setting at `path`, or in the list that it is an item of, is no variable of the environment. */
export function verbatimSetting(path: string): boolean {
  const general = path.replaceAll(/\[\d+\]/g, '[]')
  return VERBATIM_PATHS.has(general) || VERBATIM_PATHS.has(general.replace(/\[\]$/, ''))
}
