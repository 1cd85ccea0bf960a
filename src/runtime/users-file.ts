/** Files of users in CSV, with as many as a configuration file cannot hold; read in slices between which requests go on. */
import { createReadStream, statSync } from 'node:fs'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { CsvError, parse } from 'csv-parse'
import type { RuleSettings } from '../identity/mapping/rule.ts'
import type { StrictMapper } from '../identity/mapping/strict.ts'
import type { CertificateFacts } from '../tls-cert-utils/certificate.ts'
import type { Materials } from './materials.ts'

const COLUMNS = ['user', 'certificate', 'groups', 'issuer'] as const
const LARGEST_ROW = 64 * 1024
const MOST_ROWS = 2_000_000
/** A file with more that is wrong is another file. */
const MOST_FINDINGS = 1000
const MOST_TOLD = 20
/** Each is parsed in one go, which takes about a millisecond; so does adding a slice of rows. */
const CHUNK = 16 * 1024
const SLICE = 200

export interface UnreadRules {
  readonly file: string
  readonly mapper: StrictMapper
  /** The authorities that are named so. */
  issuers(written: string): readonly CertificateFacts[]
}

type Row = Readonly<Partial<Record<string, string>>>

/** What is wrong with a line; the message never repeats what stands there. */
class RowError extends Error {}

/** The rule of a line. There may be a million, so where it stands is only spelled out when somebody asks. */
class FileRule implements RuleSettings {
  readonly user: string
  readonly certificates: readonly string[]
  readonly groups: readonly string[] | undefined
  readonly issuers: readonly CertificateFacts[] | undefined
  readonly #file: string
  readonly #line: number

  constructor(row: Row, file: string, line: number, issuers: UnreadRules['issuers']) {
    const { user = '', certificate = '', groups = '', issuer = '' } = row
    if (Object.values(row).some((value) => /[\p{Cc}\uFFFD]/u.test(value ?? '')))
      throw new RowError('holds control characters or is not UTF-8; save the file as UTF-8, one user a line')
    if (user === '') throw new RowError('has no user; write a name in that column')
    if (certificate === '') throw new RowError('has no certificate; write a rule such as email:ada@example.com')
    this.user = user
    this.certificates = [certificate]
    this.groups = groups === '' ? undefined : groupsIn(groups)
    this.issuers = issuer === '' ? undefined : issuers(issuer)
    this.#file = file
    this.#line = line
  }

  get at(): string {
    return `${this.#file}:${this.#line}`
  }
}

/** Adds the rules of the file to its mapper. What is wrong is noted in `materials`. */
export async function readUsers(
  unread: UnreadRules,
  materials: Pick<Materials, 'problems' | 'warnings'>,
): Promise<void> {
  const { file, mapper } = unread
  const known = mapper.findings.length
  const report = (message: string, line?: number) =>
    materials.problems.push({ path: '', source: file, ...(line !== undefined && { line }), message })
  try {
    const stamp = stampOf(file)
    await addRows(unread, () => mapper.findings.length - known + materials.problems.length > MOST_FINDINGS, report)
    // It would stay unseen until the next change where nobody watched it yet.
    if (stampOf(file) !== stamp) report('was changed while it was read; try again')
  } catch (error) {
    if (error instanceof CsvError) report(MESSAGES[error.code] ?? `is no valid CSV (${error.code})`, lineOf(error))
    else if (error instanceof RowError) report(error.message)
    else report(`cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown error'})`)
  }
  tell(unread, known, materials)
}

async function addRows(
  { file, mapper, issuers }: UnreadRules,
  isTooMuch: () => boolean,
  report: (message: string, line: number) => void,
): Promise<void> {
  const named = remembered(issuers)
  const source = createReadStream(file, { highWaterMark: CHUNK })
  const parser = parse({
    bom: true,
    columns,
    info: true,
    max_record_size: LARGEST_ROW,
    skip_empty_lines: true,
    trim: true,
  })
  source.once('error', (error) => parser.destroy(error)).pipe(parser)
  let rows = 0
  try {
    for await (const { record, info } of parser as AsyncIterable<{ record: Row; info: { lines: number } }>) {
      if (++rows > MOST_ROWS) throw new RowError(`has more than ${MOST_ROWS} users; use a plugin (certmap) for so many`)
      try {
        mapper.add(new FileRule(record, file, info.lines, named))
      } catch (error) {
        if (!(error instanceof RowError)) throw error
        report(error.message, info.lines)
      }
      if (isTooMuch()) throw new RowError(`has more than ${MOST_FINDINGS} mistakes or double rules; mend those first`)
      if (rows % SLICE === 0) await nextTurn()
    }
  } finally {
    source.destroy()
  }
  if (rows === 0) throw new RowError('holds no user; write a line user,certificate,groups and below it one user a line')
}

function columns(header: readonly string[]): string[] {
  const known: readonly string[] = COLUMNS
  const fits = header.every((name, i) => known.includes(name) && header.indexOf(name) === i)
  if (fits && header.includes('user') && header.includes('certificate')) return [...header]
  throw new RowError('must begin with a line that names its columns: user,certificate, and groups or issuer if needed')
}

function groupsIn(written: string): readonly string[] {
  const groups = written.split(';').map((each) => each.trim())
  // A comma would make two groups of one in the header.
  if (groups.some((each) => each === '' || each.includes(',')))
    throw new RowError('has an empty group, or one with a comma; separate groups by semicolons')
  return groups
}

function tell(
  { file, mapper }: UnreadRules,
  known: number,
  { problems, warnings }: Pick<Materials, 'problems' | 'warnings'>,
) {
  for (const isFatal of [true, false]) {
    const found = mapper.findings.slice(known).filter((each) => each.isFatal === isFatal)
    const list = isFatal ? problems : warnings
    for (const { at, message } of found.slice(0, MOST_TOLD))
      list.push({ path: '', source: file, line: Number(at.slice(at.lastIndexOf(':') + 1)), message })
    if (found.length > MOST_TOLD) list.push({ path: '', source: file, message: `and ${found.length - MOST_TOLD} more` })
  }
}

/** A million users have few authorities. */
function remembered<T>(find: (written: string) => T): (written: string) => T {
  const found = new Map<string, T>()
  return (written) => {
    const value = found.get(written) ?? find(written)
    found.set(written, value)
    return value
  }
}

function lineOf(error: CsvError): number | undefined {
  return typeof error.lines === 'number' ? error.lines : undefined
}

function stampOf(file: string): string {
  const { ino, size, mtimeMs, ctimeMs } = statSync(file)
  return `${ino} ${size} ${mtimeMs} ${ctimeMs}`
}

const MESSAGES: Readonly<Record<string, string>> = {
  CSV_QUOTE_NOT_CLOSED: 'opens a quote that is never closed; write a quote inside of quotes twice',
  CSV_INVALID_CLOSING_QUOTE: 'has text after a closing quote; write a quote inside of quotes twice',
  INVALID_OPENING_QUOTE:
    'has a quote in the middle of a value; put the whole value in quotes and the inner quote twice',
  CSV_RECORD_INCONSISTENT_COLUMNS:
    'has more or fewer values than the first line has names; quote values with commas, such as distinguished names',
  CSV_MAX_RECORD_SIZE: `has a line of more than ${LARGEST_ROW} characters; a quote may be open`,
}
