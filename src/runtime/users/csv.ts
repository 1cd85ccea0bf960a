/** Users in CSV (RFC 4180): a line with the names of the columns, then one user a line. */
import { Readable } from 'node:stream'
import { CsvError, parse } from 'csv-parse'
import { type Bounds, chunksOf, type Entry, entryOf, type Mapping, UsersFileError } from './rows.ts'

const COLUMNS: Readonly<Record<Mapping, readonly string[]>> = {
  strict: ['user', 'certificate', 'groups', 'issuer'],
  nats: ['user', 'groups'],
}
const NEEDED: Readonly<Record<Mapping, readonly string[]>> = { strict: ['user', 'certificate'], nats: ['user'] }

type Row = Readonly<Partial<Record<string, string>>>

/** @throws UsersFileError */
export async function* csvEntries(file: string, mapping: Mapping, bounds: Bounds): AsyncGenerator<Entry> {
  const source = Readable.from(chunksOf(file, bounds), { objectMode: false })
  const parser = parse({
    bom: true,
    columns: (header: readonly string[]) => columns(header, mapping),
    info: true,
    max_record_size: bounds.maxEntry,
    skip_empty_lines: true,
    trim: true,
  })
  source.once('error', (error) => parser.destroy(error)).pipe(parser)
  try {
    for await (const { record, info } of parser as AsyncIterable<{ record: Row; info: { lines: number } }>) {
      const { user = '', certificate = '', groups = '', issuer = '' } = record
      const certificates = certificate === '' ? [] : [certificate]
      yield entryOf({ user, certificates, groups: groupsIn(groups), issuer }, info.lines, mapping)
    }
  } catch (error) {
    if (!(error instanceof CsvError)) throw error
    const message = MESSAGES[error.code] ?? `is no valid CSV (${error.code})`
    throw new UsersFileError(message, typeof error.lines === 'number' ? error.lines : undefined)
  } finally {
    source.destroy()
  }
}

function columns(header: readonly string[], mapping: Mapping): string[] {
  const fits = header.every((name, i) => COLUMNS[mapping].includes(name) && header.indexOf(name) === i)
  if (fits && NEEDED[mapping].every((name) => header.includes(name))) return [...header]
  const words =
    mapping === 'strict' ? 'user,certificate, and groups or issuer' : 'user, and groups (with mapping: nats no other)'
  throw new UsersFileError(`must begin with a line that names its columns: ${words} if needed`)
}

function groupsIn(written: string): readonly string[] {
  return written === '' ? [] : written.split(';').map((each) => each.trim())
}

const MESSAGES: Readonly<Record<string, string>> = {
  CSV_QUOTE_NOT_CLOSED: 'opens a quote that is never closed; write a quote inside of quotes twice',
  CSV_INVALID_CLOSING_QUOTE: 'has text after a closing quote; write a quote inside of quotes twice',
  INVALID_OPENING_QUOTE:
    'has a quote in the middle of a value; put the whole value in quotes and the inner quote twice',
  CSV_RECORD_INCONSISTENT_COLUMNS:
    'has more or fewer values than the first line has names; quote values with commas, such as distinguished names',
  CSV_MAX_RECORD_SIZE: 'has a line that is longer than users_file_max_entry; a quote may be open',
}
