/** The rules of a file, as a mapper looks them up. */
import type { CertificateFacts } from '../../tls-cert-utils/certificate.ts'
import type { RuleSettings } from './rule.ts'
import type { FiledRule, RuleTable } from './rule-table.ts'

export class FiledRules {
  readonly #file: string
  readonly #table: RuleTable
  readonly #issuersOf: (written: string) => readonly CertificateFacts[]

  /** @param issuersOf returns the authorities with a name as the file writes it */
  constructor(file: string, table: RuleTable, issuersOf: (written: string) => readonly CertificateFacts[]) {
    this.#file = file
    this.#table = table
    this.#issuersOf = issuersOf
  }

  get size(): number {
    return this.#table.size
  }

  /** The types of keys that these rules have. */
  get kinds(): ReadonlySet<string> {
    return this.#table.kinds
  }

  /** The rules that have one of these keys, in the order of the file, each with its key. */
  candidates(keys: readonly string[]): [rule: RuleSettings, key: string][] {
    const found: { readonly rule: FiledRule; readonly key: string }[] = []
    for (const key of keys) for (const rule of this.#table.withKey(key)) found.push({ rule, key })
    if (found.length > 1) found.sort((one, other) => one.rule.line - other.rule.line)
    return found.map(({ rule, key }) => [this.#settingsOf(rule), key])
  }

  *all(): Generator<RuleSettings> {
    for (let position = 0; position < this.size; position++) yield this.#settingsOf(this.#table.at(position))
  }

  #settingsOf({ line, user, certificates, groups, issuer }: FiledRule): RuleSettings {
    return {
      at: placeIn(this.#file, line),
      user,
      certificates: certificates.length > 0 ? certificates : undefined,
      groups: groups.length > 0 ? groups : undefined,
      issuers: issuer === '' ? undefined : this.#issuersOf(issuer),
    }
  }
}

export function placeIn(file: string, line: number): string {
  return `${file}:${line}`
}
