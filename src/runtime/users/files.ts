/** The files of users of a configuration. Each is read once while it stays the same, so that a reload for another reason reads none of them again. */
import { statSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import type { Problem } from '../../errors.ts'
import { FiledRules } from '../../identity/mapping/filed-rules.ts'
import type { RuleMapper } from '../../identity/mapping/rule.ts'
import { RuleTable } from '../../identity/mapping/rule-table.ts'
import type { CertificateFacts } from '../../tls-cert-utils/certificate.ts'
import { stampOf } from '../file-stamp.ts'
import { type LineFinding, readUsers, type UsersRead, type UsersWanted } from './read.ts'

/** Smaller files are read faster than a thread starts. */
const SMALL = 64 * 1024
const MOST_REPORTED = 20

/** A mapper with further rules in a file. */
export interface AwaitedUsers {
  readonly wanted: UsersWanted
  readonly mapper: RuleMapper
  /** The authorities with this name; empty for none. */
  readonly issuersOf: (written: string) => readonly CertificateFacts[]
}

interface Known {
  readonly read: Omit<UsersRead, 'table'>
  readonly table: RuleTable
}

export interface Reports {
  readonly problems: Problem[]
  readonly warnings: Problem[]
}

export class UsersFiles {
  readonly #readFile: (wanted: UsersWanted) => Promise<UsersRead>
  readonly #known = new Map<string, Known>()
  #used = new Set<string>()

  constructor(readFile: (wanted: UsersWanted) => Promise<UsersRead> = readWhereItHoldsNobodyUp) {
    this.#readFile = readFile
  }

  /** Gives the mapper the rules of its file. What is wrong is added to `reports`. */
  async attach({ wanted, mapper, issuersOf }: AwaitedUsers, reports: Reports): Promise<void> {
    const { file } = wanted
    const { read, table } = await this.#read(wanted)
    const named = new Map(read.issuers.map(([name]) => [name, issuersOf(name)]))
    const findings = [...read.findings]
    for (const [name, line] of read.issuers)
      if (named.get(name)?.length === 0) findings.push({ line, message: NO_AUTHORITY, isFatal: true })
    if (table) {
      const before = mapper.findings.length
      mapper.attach(new FiledRules(file, table, (name) => named.get(name) ?? []))
      findings.push(...mapper.findings.slice(before).map(withLine))
    }
    report(file, findings, reports)
  }

  /** Forgets files that nobody has asked for since the last call. */
  forgetUnused(): void {
    for (const key of this.#known.keys()) if (!this.#used.has(key)) this.#known.delete(key)
    this.#used = new Set()
  }

  async #read(wanted: UsersWanted): Promise<{ read: Omit<UsersRead, 'table'>; table: RuleTable | undefined }> {
    const key = JSON.stringify(wanted)
    const known = this.#known.get(key)
    this.#used.add(key)
    if (known && known.read.stamp === stampIfThere(wanted.file)) return known
    const { table: parts, ...read } = await this.#readFile(wanted)
    if (!parts) return { read, table: undefined }
    const table = RuleTable.fromParts(parts)
    this.#known.set(key, { read, table })
    return { read, table }
  }
}

const NO_AUTHORITY =
  'names an issuer that is no authority here: neither the name or id of one of ca_certificates, nor the distinguished name of one that the server trusts'

export function readWhereItHoldsNobodyUp(wanted: UsersWanted): Promise<UsersRead> {
  const small = (statSync(wanted.file, { throwIfNoEntry: false })?.size ?? 0) < SMALL
  return small ? readUsers(wanted) : readInThread(wanted)
}

/** The thread gets no environment: it may hold secrets. */
function readInThread(wanted: UsersWanted): Promise<UsersRead> {
  const extension = import.meta.url.slice(import.meta.url.lastIndexOf('.'))
  return new Promise((resolve) => {
    const failed = (): void => resolve(UNREAD)
    const thread = new Worker(new URL(`./users-thread${extension}`, import.meta.url), { workerData: wanted, env: {} })
    thread.once('message', resolve).once('error', failed).once('exit', failed)
  })
}

const UNREAD: UsersRead = {
  table: undefined,
  findings: [{ line: undefined, message: 'cannot be read: the thread that did so ended', isFatal: true }],
  issuers: [],
  stamp: '',
}

function stampIfThere(file: string): string | undefined {
  try {
    return stampOf(statSync(file))
  } catch {
    return undefined
  }
}

function withLine({ at, message, isFatal }: RuleMapper['findings'][number]): LineFinding {
  return { line: Number(at.slice(at.lastIndexOf(':') + 1)), message, isFatal }
}

function report(file: string, findings: readonly LineFinding[], { problems, warnings }: Reports): void {
  for (const isFatal of [true, false]) {
    const found = findings.filter((each) => each.isFatal === isFatal)
    const list = isFatal ? problems : warnings
    for (const { line, message } of found.slice(0, MOST_REPORTED))
      list.push({ path: '', source: file, ...(line !== undefined && { line }), message })
    if (found.length > MOST_REPORTED)
      list.push({ path: '', source: file, message: `and ${found.length - MOST_REPORTED} more` })
  }
}
