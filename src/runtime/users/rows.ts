/** The entries of a file of users, whatever its format. */
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import type { ReadRule } from '../../identity/mapping/filing.ts'

/** Limits on what is read of a file. */
export interface Bounds {
  /** Bytes. */
  readonly maxSize: number
  readonly maxUsers: number
  /** Characters of one user. */
  readonly maxEntry: number
}

export type Mapping = 'strict' | 'nats'

/** A rule for a user, or what is wrong with the entry. */
export type Entry = { readonly rule: ReadRule } | { readonly line: number | undefined; readonly mistake: string }

/** A problem of the whole file: nothing after it is read. The message never repeats the file's content. */
export class UsersFileError extends Error {
  readonly line: number | undefined

  constructor(message: string, line?: number) {
    super(message)
    this.line = line
  }
}

/** As written, before anything is known of it. */
export interface WrittenUser {
  readonly user: string
  readonly certificates: readonly string[]
  readonly groups: readonly string[]
  readonly issuer: string
}

/** Each is parsed in one go. */
const CHUNK = 64 * 1024

/**
 * Reads a file in chunks.
 * @throws UsersFileError where it turns out larger than allowed, whatever its size was before
 */
export async function* chunksOf(file: string, { maxSize }: Bounds): AsyncGenerator<Buffer> {
  let size = 0
  // Opening a pipe that nobody writes to would block a thread of the process for good.
  const opened = await open(file, constants.O_RDONLY | constants.O_NONBLOCK)
  for await (const chunk of opened.createReadStream({ highWaterMark: CHUNK }) as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > maxSize) throw new UsersFileError(`has more than ${maxSize} bytes; raise users_file_max_size`)
    yield chunk
  }
}

export function entryOf(written: WrittenUser, line: number, mapping: Mapping): Entry {
  const mistake = mistakeIn(written, mapping)
  return mistake === undefined ? { rule: { line, ...written } } : { line, mistake }
}

function mistakeIn({ user, certificates, groups, issuer }: WrittenUser, mapping: Mapping): string | undefined {
  if ([user, ...certificates, ...groups, issuer].some((value) => /[\p{Cc}\uFFFD]/u.test(value)))
    return 'holds control characters or is not UTF-8; save the file as UTF-8, one value a line'
  if (user === '') return 'has no user; write a name there'
  if (mapping === 'strict' && (certificates.length === 0 || certificates.includes('')))
    return 'has no certificate; write a rule such as email:ada@example.com'
  // A comma would make two groups of one in the header.
  if (groups.some((each) => each === '' || each.includes(','))) return 'has an empty group, or one with a comma'
  return undefined
}
