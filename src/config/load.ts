/** Reads the configuration: defaults, then the file, then the environment, then the command line. */
import { existsSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { byLine, type Problem } from '../errors.ts'
import { atOnce, inSlices, type Slices } from '../slices.ts'
import { errorCode, LARGEST, readBounded } from './bounded-file.ts'
import { applyEnvironment, assign, quotedVariables } from './environment/environment.ts'
import { unreadOfKong } from './environment/kong-environment.ts'
import { substitute } from './environment/substitution.ts'
import { misspeltVariables } from './environment/unknown-variables.ts'
import { CONFIG_FILE, takeOut, type Variables, variable } from './environment/variables.ts'
import { FILE_OF_NATS, isOfNats } from './foreign/from-nats.ts'
import { FILE_OF_NGINX, isOfNginx } from './foreign/from-nginx.ts'
import { FILE_OF_HAPROXY, isOfHaproxy } from './foreign/from-others.ts'
import type { PemReader } from './pem.ts'
import { type Place, Places } from './place.ts'
import { resolveConfig } from './resolve/resolve.ts'
import { checkAgainst } from './schema/check.ts'
import { type Config, schema } from './schema/config.ts'
import { Unfit } from './schema/field.ts'
import { inNatsWords } from './schema/nats-tls.ts'
import { allSettings, blockOf, type Setting } from './schema/settings.ts'
import { readYaml, type Tree } from './yaml/yaml-reader.ts'

/** Read if it exists, where neither the command line nor SALLYPORT_CONFIG names a file. */
export const DEFAULT_FILE = 'conf/sallyport.yaml'
/** More would hide the first. */
const MOST_PROBLEMS = 500

export interface LoadOptions {
  /** The file that the command line names; it must be there. Without it SALLYPORT_CONFIG counts, then `conf/sallyport.yaml` if it is there. */
  readonly file?: string | undefined
  /** Secrets are removed from it once they are read. A later call with the same object still knows them; others do not. */
  readonly env: Variables
  /** The settings of the command line, as `{'listeners[0].listen': '127.0.0.1:0'}`. */
  readonly overrides?: Readonly<Record<string, string | readonly string[] | undefined>> | undefined
}

interface Loaded {
  /** Absolute paths: the configuration and every file that it names, also those that were not found. */
  readonly files: readonly string[]
  /** The configuration file, absolute. */
  readonly file: string | undefined
  /** Warnings: what may not be as intended, but stops nothing. */
  readonly warnings: readonly Problem[]
  /** For problems that are found later: where a setting such as `services[0].url` stands. `{...locate(path), message}` is a Problem. */
  locate(path: string): Place
}

/** Only a load without problems has a configuration: check `config` before using it. */
export type LoadedConfig =
  | (Loaded & { readonly config: Config; readonly problems: readonly [] })
  | (Loaded & {
      readonly config: undefined
      readonly problems: readonly [Problem, ...Problem[]]
      /** What could be read in spite of the problems: never to serve with, only to look for further problems. Values may be missing. */
      readonly incomplete: Config | undefined
    })

/** Never throws because of what a user wrote: all problems are in `problems`, in the order of the file. */
export function loadConfig(options: LoadOptions): LoadedConfig {
  return atOnce(loadSteps(options))
}

/** Does the same in slices, so that requests go on: with ten thousand routes it takes seconds. */
export function loadConfigBeside(options: LoadOptions): Promise<LoadedConfig> {
  return inSlices(loadSteps(options))
}

/** The file that a load reads, as it is written. Undefined where there is none: then the environment alone counts. */
export function fileOf({ file, env }: LoadOptions): string | undefined {
  const named = file ?? variable(env, CONFIG_FILE)
  return named || (existsSync(resolve(DEFAULT_FILE)) ? DEFAULT_FILE : undefined)
}

function* loadSteps(options: LoadOptions): Slices<LoadedConfig> {
  const { env, overrides = {} } = options
  const source = fileOf(options)
  const places = new Places(source)
  const folders = source === undefined ? [process.cwd()] : [process.cwd(), resolve(dirname(source))]
  const load = new Load(places, { folders: [...new Set(folders)], files: new Set() }, env)
  const tree = yield* load.readFile(source)
  // The environment is read even if the file is broken, so that its problems are reported too and its secrets removed.
  load.applyEnvironment(tree ?? Object.create(null))
  const config = tree && (yield* load.configOf(tree, overrides))
  return load.result(config, source)
}

class Load {
  readonly #places: Places
  readonly #pems: PemReader
  readonly #env: Variables
  readonly #problems: Problem[] = []
  /** Values that came from variables, where secrets come from. */
  readonly #expanded = new Set<string>()
  /** Values with missing variables, and what is wrong: what their type reports as well would be noise. */
  readonly #incomplete = new Map<string, string>()

  constructor(places: Places, pems: PemReader, env: Variables) {
    this.#places = places
    this.#pems = pems
    this.#env = env
  }

  /** The file's settings; without a file, none. Undefined if the file cannot be used. */
  *readFile(source: string | undefined): Slices<Tree | undefined> {
    if (source === undefined) return Object.create(null)
    const path = resolve(source)
    this.#pems.files.add(path)
    try {
      const { size, isFile } = statOf(path)
      if (!isFile) throw new Unfit('is no file; name a YAML file')
      if (size > LARGEST) throw new Unfit(`is larger than ${LARGEST} bytes`)
      const expand = (text: string, at: string) => this.#expand(text, at)
      const bytes = readBounded(path)
      // What is left of a file that was written to a full disk. Without its settings the environment alone would count.
      if (bytes.length === 0) throw new Unfit('is empty; write its settings, or at least a comment')
      const { tree, problems } = yield* readYaml(bytes, { source, places: this.#places, expand })
      if (!tree && isOfNginx(bytes)) throw new Unfit(FILE_OF_NGINX)
      if (!tree && isOfNats(bytes)) throw new Unfit(FILE_OF_NATS)
      if (!tree && isOfHaproxy(bytes)) throw new Unfit(FILE_OF_HAPROXY)
      this.#problems.push(...problems)
      // Only now: while the file is being read, positions cannot be looked up yet.
      for (const [at, message] of this.#incomplete) this.#tell(at, message)
      return tree
    } catch (error) {
      if (!(error instanceof Unfit)) throw error
      this.#problems.push({ path: '', source, message: error.message })
      return undefined
    }
  }

  applyEnvironment(tree: Tree): void {
    this.#problems.push(...applyEnvironment(tree, { env: this.#env, places: this.#places, pems: this.#pems }))
  }

  *configOf(tree: Tree, overrides: NonNullable<LoadOptions['overrides']>): Slices<Config> {
    const pems = this.#pems
    for (const [path, value] of Object.entries(overrides)) {
      if (value !== undefined && assign(tree, path, value)) this.#places.given(path, { path, source: 'command line' })
    }
    const broken = new WeakSet<object>()
    const report = (problem: Problem) => this.#report(problem.path, problem.message)
    const written = yield* checkAgainst(schema, tree, {
      report: (path, message) => this.#report(path, message),
      mayShow: (path) => !this.#expanded.has(path) && this.#places.isInFile(path),
      pems,
      broken,
    })
    const given = Object.entries(overrides).flatMap(([path, value]) => (value === undefined ? [] : [path]))
    return yield* resolveConfig(written, { report, broken, pems, ofCommandLine: new Set(given) })
  }

  result(config: Config | undefined, source: string | undefined): LoadedConfig {
    const loaded: Loaded = {
      files: [...this.#pems.files],
      file: source === undefined ? undefined : resolve(source),
      warnings: [...misspeltVariables(this.#env), ...quotedVariables(this.#env), ...unreadOfKong(this.#env)],
      locate: (path) => this.#places.locate(path),
    }
    const sorted = this.#problems.toSorted(byLine)
    const left = sorted.length - MOST_PROBLEMS
    if (left > 0) sorted.splice(MOST_PROBLEMS, left, { path: '', message: `and ${left} more` })
    const [first, ...more] = sorted
    if (first) return { ...loaded, config: undefined, problems: [first, ...more], incomplete: config }
    if (!config) throw new Error('a configuration was neither read nor refused')
    return { ...loaded, config, problems: [] }
  }

  #report(path: string, message: string): void {
    if (!this.#incomplete.has(path)) this.#tell(path, message)
  }

  #tell(path: string, message: string): void {
    this.#problems.push({ ...this.#places.locate(path), message: inNatsWords(path, message) })
  }

  #expand(written: string, path: string): string {
    // Most values hold no variable, and looking up the setting takes longer than this check.
    if (!written.includes('${') || isVerbatim(path)) return written
    const { text, used, problem } = substitute(written, (name) => variable(this.#env, name))
    if (used.length > 0) this.#expanded.add(path)
    if (problem !== undefined) this.#incomplete.set(path, problem)
    if (isSecret(path)) for (const name of used) takeOut(this.#env, name)
    return text
  }
}

function statOf(path: string): { size: number; isFile: boolean } {
  try {
    const found = statSync(path)
    return { size: found.size, isFile: found.isFile() }
  } catch (error) {
    const code = errorCode(error)
    if (code === 'ENOENT' || code === 'ENOTDIR') throw new Unfit(`is not there (looked for ${path})`)
    throw new Unfit(code === 'EACCES' ? 'is in a folder that this user may not read' : `cannot be read (${code})`)
  }
}

const isSecret = settingsThat(({ field }) => field.secret)
/** Whether `${…}` in it is no variable of the environment. */
const isVerbatim = settingsThat(({ field }) => field.kind.verbatim === true)

/** Whether the setting at a path such as `certificates[0].key`, or the list that it is an item of, is one of these. */
function settingsThat(are: (setting: Setting) => boolean): (path: string) => boolean {
  const paths = new Set([...allSettings(blockOf(schema))].filter(are).map(({ path }) => path))
  return (path) => {
    const general = path.replaceAll(/\[\d+\]/g, '[]')
    return paths.has(general) || paths.has(general.replace(/\[\]$/, ''))
  }
}
