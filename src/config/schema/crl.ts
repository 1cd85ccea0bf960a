/** The places of revocation lists: files, folders, or text in the configuration. The lists are read later, as they may be large. */
import { accessSync, constants, readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Problem } from '../../errors.ts'
import { errorCode, statOf } from '../bounded-file.ts'
import { decodeBase64, looksLikePath, type PemReader, unquoted, watchedStat, withLineBreaks } from '../pem.ts'
import { type Kind, Unfit } from './field.ts'
import { choice, size } from './scalars.ts'

const BEGIN = '-----BEGIN '
/** How many files one folder may have: each is opened, read and watched. */
const MOST_FILES = 10_000

/** One place with lists: a file by its absolute path and its size in bytes, or PEM text. */
export type CrlPart = { readonly file: string; readonly size: number } | { readonly text: string }

interface Place {
  /** Of a file or folder. */
  readonly name?: string
  readonly parts: readonly CrlPart[]
  readonly skipped?: readonly string[]
}

/** All lists of one setting. */
export class CrlSource {
  /** The setting it was given for, such as `listeners[0].servers[0].ssl_crl`. */
  readonly setting: string
  readonly parts: readonly CrlPart[]
  /** What stands in its folders and is not read: no file, or a link that leads to none. */
  readonly skipped: readonly string[]
  /** The files and folders that were named; what stands inline goes by its setting. */
  readonly #names: readonly string[]

  constructor(setting: string, places: readonly Place[]) {
    this.setting = setting
    this.parts = places.flatMap(({ parts }) => parts)
    this.skipped = places.flatMap(({ skipped = [] }) => skipped)
    this.#names = places.map(({ name }) => name ?? '(inline)')
  }

  /** The same as long as the lists come from the same places, whatever they contain. */
  get name(): string {
    return this.#names.includes('(inline)') ? this.setting : this.toString()
  }

  toString(): string {
    return this.#names.join(', ')
  }

  toJSON(): string {
    return this.toString()
  }
}

export const crl: Kind<CrlSource> = {
  pem: 'crl',
  expected: 'a path of a file (PEM or DER) or of a folder with such files, PEM text or its base64, or a list of these',
  json: { type: ['string', 'array'], items: { type: 'string', minLength: 1 }, minLength: 1 },
  parse(value) {
    if (value instanceof CrlSource) return value
    throw new Unfit('')
  },
}

/** @throws Unfit where one of the places cannot be used; the message names a path but never repeats text */
export function openCrl(written: string | readonly string[], setting: string, reader: PemReader): CrlSource {
  const places = typeof written === 'string' ? [written] : written
  if (places.length === 0) throw new Unfit('is empty; name a file or a folder, or remove the setting')
  return new CrlSource(
    setting,
    places.map((place) => openPlace(place, reader)),
  )
}

function openPlace(given: string, reader: PemReader): Place {
  const text = unquoted(given)
  if (text.includes(BEGIN)) return { parts: [{ text: withLineBreaks(text) }] }
  const written = text.trim()
  const decoded = decodeBase64(written)
  if (decoded?.includes(BEGIN)) return { parts: [{ text: decoded }] }
  const candidates = [...new Set(reader.folders.map((folder) => resolve(folder, written)))]
  for (const path of written.includes('\0') ? [] : candidates) {
    const found = watchedStat(path, written, reader)
    if (!found) continue
    return { name: path, ...(found.isDirectory() ? contentOf(path, reader) : { parts: [usable(path)] }) }
  }
  if (!looksLikePath(written)) throw new Unfit('names no readable file and is no PEM text nor base64 of it')
  for (const path of candidates) reader.files.add(path)
  throw new Unfit(`names no readable file (looked for ${candidates.join(' and ')}) and is no PEM text nor base64 of it`)
}

/** Kubernetes keeps the files that it swaps under names that begin with a dot. */
function contentOf(folder: string, reader: PemReader): Required<Pick<Place, 'parts' | 'skipped'>> {
  let names: string[]
  try {
    names = readdirSync(folder)
  } catch (error) {
    throw new Unfit(`names ${folder}, which cannot be read (${errorCode(error)})`)
  }
  const shown = names.filter((name) => !name.startsWith('.'))
  if (shown.length > MOST_FILES) {
    throw new Unfit(
      `names the folder ${folder}, which holds more than ${MOST_FILES} files; join lists in one file, or use several folders`,
    )
  }
  const paths = shown.map((name) => join(folder, name)).sort()
  // Where a link leads nowhere, what it names may come later.
  for (const path of paths) reader.files.add(path)
  const files: string[] = []
  const skipped: string[] = []
  for (const path of paths) (statOf(path)?.isFile() ? files : skipped).push(path)
  if (files.length === 0) throw new Unfit(`names the folder ${folder}, which holds no file`)
  return { parts: files.map(usable), skipped }
}

function usable(path: string): CrlPart {
  const found = statOf(path)
  if (!found?.isFile()) throw new Unfit(`names ${path}, which is no file`)
  try {
    accessSync(path, constants.R_OK)
  } catch {
    throw new Unfit(`names ${path}, which this user may not read`)
  }
  return { file: path, size: found.size }
}

/** How large a file of lists may be, in bytes. */
export const listSize = size(1024, 2047 * 1024 * 1024)

/** Kong's words. */
export const revocationCheckMode = choice('STRICT', 'IGNORE_CA_ERROR', 'SKIP')

/** Files that are larger than a list may be. */
export function checkCrlSizes(source: CrlSource | undefined, most: number, setting: string): Problem[] {
  return (source?.parts ?? []).flatMap((part) => {
    if (!('file' in part) || part.size <= most) return []
    const message = `names ${part.file}, which has ${part.size} bytes; ${setting} allows ${most}`
    return [{ path: source?.setting ?? '', message }]
  })
}
