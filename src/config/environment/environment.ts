/** Reads settings from the environment, and removes the secrets from it. */
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Problem } from '../../errors.ts'
import { readBounded } from '../bounded-file.ts'
import { looksLikePath, type PemReader } from '../pem.ts'
import type { Places } from '../place.ts'
import { Unfit } from '../schema/field.ts'
import type { Setting } from '../schema/settings.ts'
import type { Tree } from '../yaml/yaml-reader.ts'
import { unknownVariables } from './unknown-variables.ts'
import { BY_VARIABLE, ENVIRONMENT, takeOut, UPSTREAM_URL, type Variables, variable } from './variables.ts'

const EMPTY = 'is empty; give it a value, or do not set it at all'
const QUOTED =
  'begins and ends with a quote, which is taken for a part of the value; remove both where they are not meant'
const BLANK = 'begins or ends with a blank; remove it where it is not meant'

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
  takeOut(env, name, { as: BY_VARIABLE.has(name) ? name : name.replace(/_FILE$/, ''), value: content })
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

function emptyVariables(env: Variables): Problem[] {
  return NEVER_EMPTY.filter((name) => env[name] === '').map((name) => ({
    path: name,
    source: ENVIRONMENT,
    message: EMPTY,
  }))
}

/**
 * Quotes, which Docker's `--env-file` and a list in compose's `environment:` hand on as they stand, and blanks at the ends. Both may be meant, in a
 * password; so these are warnings, which are told beside what such a value leads to. PEM loses both anyway.
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
