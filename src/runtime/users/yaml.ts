/** Users in YAML: a list in the form of `authorization.users`. It is read in slices of some users at a time, so that its size does not matter. */
import { LineCounter, parseDocument } from 'yaml'
import { type Bounds, chunksOf, type Entry, entryOf, type Mapping, UsersFileError, type WrittenUser } from './rows.ts'

/** Characters that are parsed in one go. */
const SLICE = 16 * 1024

/** Lines of the file from one user on. */
interface Slice {
  /** Where it begins, from 1. */
  readonly line: number
  text: string
}

/** @throws UsersFileError */
export async function* yamlEntries(file: string, mapping: Mapping, bounds: Bounds): AsyncGenerator<Entry> {
  for await (const slice of slicesOf(file, bounds)) yield* entriesOf(slice, mapping)
}

/**
 * Cuts the file before each line that begins with a hyphen. In a top-level list, only an entry's first line begins so: no other line of an entry can,
 * not even in quotes or in a block (YAML 1.2 8.2.1, 7.3).
 */
async function* slicesOf(file: string, bounds: Bounds): AsyncGenerator<Slice> {
  let slice: Slice | undefined
  let entry = 0
  let number = 0
  for await (const line of linesOf(file, bounds)) {
    number += 1
    if (/^-(?:[ \t]|$)/.test(line)) {
      if (slice && slice.text.length > SLICE) {
        yield slice
        slice = undefined
      }
      slice ??= { line: number, text: '' }
      entry = 0
    } else if (!slice && !isPreface(line)) throw new UsersFileError(NO_LIST, number)
    else if (slice && !/^(?:[ \t#]|$)/.test(line)) throw new UsersFileError(NO_LIST, number)
    if (!slice) continue
    slice.text += `${line}\n`
    entry += line.length
    if (entry > bounds.maxEntry) throw new UsersFileError('is longer than users_file_max_entry', number)
  }
  if (slice) yield slice
}

const NO_LIST = 'is not part of a list of users: each begins with "- " at the start of a line, and the rest is indented'

function isPreface(line: string): boolean {
  return /^(?:[ \t]*(?:#.*)?|---)$/.test(line)
}

async function* linesOf(file: string, bounds: Bounds): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of chunksOf(file, bounds)) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) yield line.endsWith('\r') ? line.slice(0, -1) : line
    if (rest.length > bounds.maxEntry) throw new UsersFileError('has a line that is longer than users_file_max_entry')
  }
  rest += decoder.decode()
  if (rest !== '') yield rest
}

/** As in CSV, all values are text, whatever they look like; aliases are not allowed. */
function* entriesOf({ line, text }: Slice, mapping: Mapping): Generator<Entry> {
  const lines = new LineCounter()
  const document = parseDocument(text, { schema: 'failsafe', prettyErrors: false, lineCounter: lines })
  const lineAt = (offset: number) => line + lines.linePos(offset).line - 1
  const [wrong] = [...document.errors, ...document.warnings]
  if (wrong) {
    yield { line: lineAt(wrong.pos[0]), mistake: `is no valid YAML (${wrong.code})` }
    return
  }
  let users: unknown
  try {
    users = document.toJS({ maxAliasCount: 0 })
  } catch {
    throw new UsersFileError('has an alias (*) near here; write out what it stands for', line)
  }
  const { items = [] } = document.contents as { items?: readonly { range?: readonly [number, number, number] }[] }
  for (const [i, value] of (users as readonly unknown[]).entries()) {
    const at = lineAt(items[i]?.range?.[0] ?? 0)
    const written = writtenUser(value, mapping)
    yield typeof written === 'string' ? { line: at, mistake: written } : entryOf(written, at, mapping)
  }
}

const SETTINGS = ['user', 'certificate', 'groups', 'issuer']

/** Returns a text that says what is wrong where it is no user. */
function writtenUser(value: unknown, mapping: Mapping): WrittenUser | string {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return 'is no user; write user: and, indented below it, certificate:'
  const unknown = Object.keys(value).some((name) => !SETTINGS.includes(name))
  if (unknown) return `has a setting that is none of ${SETTINGS.join(', ')}; others stand in authorization.users`
  const { user, certificate, groups, issuer } = value as Readonly<Record<string, unknown>>
  const certificates = textsIn(certificate)
  const groupList = textsIn(groups)
  if (typeof (user ?? '') !== 'string' || typeof (issuer ?? '') !== 'string')
    return 'has a user or issuer that is no text'
  if (!certificates || !groupList) return 'has a certificate or groups that are no text and no list of texts'
  if (mapping === 'nats' && (certificates.length > 0 || issuer !== undefined))
    return 'has certificate or issuer, which need mapping: strict; in NATS the user is what the certificate holds'
  return { user: (user as string) ?? '', certificates, groups: groupList, issuer: (issuer as string) ?? '' }
}

function textsIn(value: unknown): readonly string[] | undefined {
  if (value === undefined) return []
  const list = Array.isArray(value) ? value : [value]
  return list.every((each) => typeof each === 'string') ? list : undefined
}
