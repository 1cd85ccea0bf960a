/** Reads a file of users into a table of their rules. Runs in a thread where the file is large. */
import { statSync } from 'node:fs'
import { FILE_RULE } from '../../identity/mapping/filing.ts'
import type { Finding } from '../../identity/mapping/rule.ts'
import { RuleTable, type RuleTableParts } from '../../identity/mapping/rule-table.ts'
import { stampOf } from '../file-stamp.ts'
import { csvEntries } from './csv.ts'
import { type Bounds, type Mapping, UsersFileError } from './rows.ts'
import { yamlEntries } from './yaml.ts'

export interface UsersWanted extends Bounds {
  /** Absolute. */
  readonly file: string
  readonly mapping: Mapping
  /** The authorities at the top of those that the server trusts, by their names. */
  readonly tops: readonly string[]
}

export interface UsersRead {
  /** Undefined where the file cannot be used. */
  readonly table: RuleTableParts | undefined
  /** Problems and warnings. */
  readonly findings: readonly LineFinding[]
  /** The issuers that the file names, each with its first line. */
  readonly issuers: readonly (readonly [name: string, line: number])[]
  /** Differs where the file has changed. */
  readonly stamp: string
}

export interface LineFinding {
  readonly line: number | undefined
  readonly message: string
  readonly isFatal: boolean
}

/** Reading stops after this many: such a file is no file of users. */
const MOST_FINDINGS = 1000
/** Nobody trusts more authorities. Rules with one name and different issuers are compared with each other, so their number is bounded. */
const MOST_ISSUERS = 1000

export async function readUsers(wanted: UsersWanted): Promise<UsersRead> {
  const { file } = wanted
  const reading = new Reading(wanted)
  let stamp = ''
  try {
    stamp = stampOf(statSync(file))
    await reading.run()
    // The change would go unnoticed where the file was not watched yet.
    if (stampOf(statSync(file)) !== stamp) throw new UsersFileError('was changed while it was read; try again')
  } catch (error) {
    const { message, line } =
      error instanceof UsersFileError
        ? error
        : { message: `cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown error'})`, line: undefined }
    reading.failed(message, line)
  }
  return reading.result(stamp)
}

class Reading {
  readonly #wanted: UsersWanted
  readonly #table = new RuleTable()
  readonly #findings: LineFinding[] = []
  readonly #issuers = new Map<string, number>()

  constructor(wanted: UsersWanted) {
    this.#wanted = wanted
  }

  wrong(message: string, line: number | undefined): void {
    this.#findings.push({ line, message, isFatal: true })
  }

  /** Put first, since not all of the others are shown. */
  failed(message: string, line: number | undefined): void {
    this.#findings.unshift({ line, message, isFatal: true })
  }

  async run(): Promise<void> {
    const { file, mapping, maxUsers, tops } = this.#wanted
    const findings: Finding[] = []
    const filing = { file, table: this.#table, findings, tops }
    const entriesOf = /\.ya?ml$/i.test(file) ? yamlEntries : csvEntries
    let count = 0
    for await (const entry of entriesOf(file, mapping, this.#wanted)) {
      if (++count > maxUsers) throw new UsersFileError(`has more than ${maxUsers} users; raise users_file_max_users`)
      if ('mistake' in entry) this.wrong(entry.mistake, entry.line)
      else {
        FILE_RULE[mapping](entry.rule, filing)
        const { line, issuer } = entry.rule
        for (const { message, isFatal } of findings.splice(0)) this.#findings.push({ line, message, isFatal })
        if (issuer !== '' && !this.#issuers.has(issuer)) this.#issuers.set(issuer, line)
      }
      if (this.#findings.length > MOST_FINDINGS)
        throw new UsersFileError(`has more than ${MOST_FINDINGS} mistakes or double rules; mend those first`)
      if (this.#issuers.size > MOST_ISSUERS) throw new UsersFileError(`names more than ${MOST_ISSUERS} issuers`)
    }
    if (count === 0)
      throw new UsersFileError('holds no user; write a line user,certificate,groups and below it one user a line')
  }

  result(stamp: string): UsersRead {
    const isUsable = this.#findings.every(({ isFatal }) => !isFatal)
    return {
      table: isUsable ? this.#table.parts : undefined,
      findings: this.#findings,
      issuers: [...this.#issuers],
      stamp,
    }
  }
}
