/** Certificates and keys: a path, the PEM text itself, or its base64, as Kong takes them. */
import type { Stats } from 'node:fs'
import { resolve } from 'node:path'
import { LARGEST, readBounded, statOf } from './bounded-file.ts'
import { insteadOfPem } from './no-pem.ts'
import { type Kind, Unfit } from './schema/field.ts'

const BEGIN = '-----BEGIN '

/** PEM text and its origin. The text never appears in logs, JSON or `inspect`. */
export class PemSource {
  /** The setting it was given for, such as `listeners[0].servers[0].ssl_certificate`. */
  readonly setting: string
  readonly origin: 'file' | 'inline' | 'base64'
  /** The absolute path, where the setting names a file. */
  readonly file: string | undefined
  readonly #pem: string

  constructor(setting: string, origin: 'file' | 'inline' | 'base64', pem: string, file?: string) {
    this.setting = setting
    this.origin = origin
    this.file = file
    this.#pem = pem
  }

  /** The PEM text as it was when the configuration was loaded. */
  read(): string {
    return this.#pem
  }

  toString(): string {
    return this.file ?? `(${this.origin})`
  }

  toJSON(): string {
    return this.toString()
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return `PemSource ${this.toString()}`
  }
}

export const pem: Kind<PemSource> = {
  pem: 'pem',
  expected: 'a path, PEM text or its base64',
  json: { type: 'string', minLength: 1 },
  parse(value) {
    if (value instanceof PemSource) return value
    throw new Unfit('')
  },
}

/** One or several, always read as a list. */
export const pems: Kind<readonly PemSource[]> = {
  pem: 'pems',
  expected: 'a path, PEM text or its base64, or a list of them',
  json: { anyOf: [pem.json, { type: 'array', minItems: 1, items: pem.json }] },
  parse(value) {
    if (Array.isArray(value) && value.every((each) => each instanceof PemSource)) return value
    throw new Unfit('')
  },
}

/** Where relative paths are looked up, and what has been read. */
export interface PemReader {
  /** Tried in this order. */
  readonly folders: readonly string[]
  /** Every file that was read or looked for, for whoever watches them. */
  readonly files: Set<string>
}

/**
 * Reads the value of a PEM setting: PEM text or its base64, else an existing file.
 * @throws Unfit when it is none of them, or the file cannot be read. The message names a path but never repeats text that may be a key
 */
export function openPem(given: string, setting: string, reader: PemReader): PemSource {
  const text = unquoted(given)
  if (text.includes(BEGIN)) return new PemSource(setting, 'inline', withLineBreaks(text))
  const written = text.trim()
  // Before a file of that name is looked for: no key may become a part of a path.
  const decoded = decodeBase64(written)
  if (decoded?.includes(BEGIN)) return new PemSource(setting, 'base64', decoded)
  const file = findFile(written, reader)
  if (file !== undefined) return new PemSource(setting, 'file', pemOf(readBounded(file), file), file)
  if (!looksLikePath(written))
    throw new Unfit(`names no readable file and is no PEM text nor base64 of it${unexpanded(written)}`)
  const missing = reader.folders.map((folder) => resolve(folder, written))
  for (const path of missing) reader.files.add(path)
  throw new Unfit(
    `names no readable file (looked for ${[...new Set(missing)].join(' and ')}) and is no PEM text nor base64 of it${unexpanded(written)}`,
  )
}

/** For what a shell or nginx would have made another path of. */
function unexpanded(written: string): string {
  if (written.startsWith('~')) return '; ~ stands for itself: write the whole path'
  // biome-ignore lint/suspicious/noTemplateCurlyInString: it is what the user shall write.
  return /\$\w/.test(written) ? '; write ${NAME} for a variable of the environment' : ''
}

/** Removes the quotes around it, which Docker's `--env-file` passes on. */
export function unquoted(given: string): string {
  return /^\s*(["'])(.*)\1\s*$/s.exec(given)?.[2] ?? given
}

/** Where line breaks cannot be written, as in Docker's env files, they come as `\n`, or as `\r\n`. */
export function withLineBreaks(written: string): string {
  return written.trim().includes('\n') ? written : written.replaceAll(/(?:\\r)?\\n/g, '\n')
}

/**
 * The first existing file of that name, as an absolute path.
 * @param kind `plain` for files that are read more than once, or by others: they would wait for a pipe for ever
 * @throws Unfit for anything but a readable file
 */
export function findFile(
  written: string,
  reader: PemReader,
  kind: 'any' | 'plain' = 'any',
  largest = LARGEST,
): string | undefined {
  if (written.includes('\0')) return undefined
  for (const folder of reader.folders) {
    const path = resolve(folder, written)
    const found = watchedStat(path, written, reader)
    if (!found) continue
    if (found.isDirectory()) throw new Unfit(`names a folder (${path}); expected a file`)
    if (!found.isFile() && !(found.isFIFO() && kind === 'any')) throw new Unfit(`names ${path}, which is no file`)
    if (found.size > largest) throw new Unfit(`names ${path}, which is larger than ${largest} bytes`)
    return path
  }
  return undefined
}

/** The same of a setting that is nothing else than a path. @throws Unfit also where nothing is there; what comes there later is seen by whoever watches the files */
export function namedFile(
  written: string,
  reader: PemReader,
  kind: 'any' | 'plain' = 'any',
  largest = LARGEST,
): string {
  const file = findFile(written, reader, kind, largest)
  if (file !== undefined) return file
  const missing = [...new Set(reader.folders.map((folder) => resolve(folder, written)))]
  for (const path of missing) reader.files.add(path)
  throw new Unfit(`names no readable file (looked for ${missing.join(' and ')}); write it there, or mend the path`)
}

/**
 * What stands there, if anything; it is watched from now on, as is what may be looked at later.
 * @throws Unfit where we may not look. In a folder that is closed to us we are told so of any name, so a key that was put here by mistake is not repeated
 */
export function watchedStat(path: string, written: string, { files }: PemReader): Stats | undefined {
  try {
    const found = statOf(path)
    if (found) files.add(path)
    return found
  } catch (error) {
    if (!looksLikePath(written)) throw new Unfit('names no file that this user may read')
    files.add(path)
    throw error
  }
}

function pemOf(content: Buffer, file: string): string {
  if (content.includes(BEGIN)) return withLineBreaks(content.toString('utf8'))
  const decoded = decodeBase64(content.toString('latin1'))
  if (decoded?.includes(BEGIN)) return decoded
  throw new Unfit(`names ${file}, which ${insteadOfPem(content)}`)
}

export function decodeBase64(written: string): string | undefined {
  const compact = written.replace(/\s+|\\[nr]/g, '')
  if (!/^[A-Za-z0-9+/_-]+={0,2}$/.test(compact)) return undefined
  return Buffer.from(compact, 'base64').toString('utf8')
}

/** Only such a value may appear in a message: anything else could be a damaged key. */
export function looksLikePath(written: string): boolean {
  return written.length <= 255 && /^(\.{0,2}\/|~\/)[^\s]*$|^[\w./ @-]*\.(pem|crt|cer|key|crl|der|p8)$/i.test(written)
}
