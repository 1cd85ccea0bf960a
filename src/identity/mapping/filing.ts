/** Puts the rules of a file into their table. Each is checked like a rule of the configuration, and is found by the same keys. */
import { placeIn } from './filed-rules.ts'
import { nameKey, subjectKey } from './nats.ts'
import { duplicate, natsUserOf, neverMatches, orderFree, shadowed, unfit } from './nats-rule.ts'
import type { Finding, RuleSettings } from './rule.ts'
import type { FiledRule, RuleTable } from './rule-table.ts'
import { neverReached } from './strict.ts'
import { compileRule } from './strict-rule.ts'

/** A rule whose keys are not known yet. */
export type ReadRule = Omit<FiledRule, 'keys'>

export interface Filing {
  readonly file: string
  readonly table: RuleTable
  /** Problems. The table must not be used where one of them is fatal. */
  readonly findings: Finding[]
  /** The authorities at the top of those that the server trusts, by their names. */
  readonly tops: readonly string[]
}

export const FILE_RULE = { strict: fileStrictRule, nats: fileNatsRule } as const

function fileStrictRule(read: ReadRule, { file, table, findings, tops }: Filing): void {
  const settings = settingsOf(read, file)
  const keys = compileRule(settings, tops, findings)?.keys
  if (!keys) return
  const alike = keys.map((key) => table.withKey(key))
  if (alike.some(({ length }) => length >= MOST_ALIKE)) {
    findings.push(alikeTooMany(settings.at))
    return
  }
  // A certificate that matches an earlier rule never reaches a later one, unless the issuers differ.
  const earlier = alike.map((others) => others.find(({ issuer }) => issuer === read.issuer))
  const first = earlier[0]
  if (first && !earlier.includes(undefined)) findings.push(neverReached(settings.at, placeIn(file, first.line)))
  table.add({ ...read, keys })
}

/** Each rule is compared with those of the same name, when the file is read and when such a certificate is shown. */
const MOST_ALIKE = 50

function alikeTooMany(at: string): Finding {
  const message = `names a certificate that ${MOST_ALIKE} rules before it name too; give each user certificates of his own`
  return { at, message, isFatal: true }
}

function fileNatsRule(read: ReadRule, { file, table, findings }: Filing): void {
  const user = natsUserOf(settingsOf(read, file))
  const { settings, name, parsed } = user
  const key = parsed && subjectKey(orderFree(parsed))
  const [first] = key === undefined ? [] : table.withKey(key)
  findings.push(...unfit(settings))
  if (table.withKey(nameKey(name)).length > 0) findings.push(duplicate(settings.at, name))
  else {
    findings.push(...neverMatches(user))
    if (first !== undefined) findings.push(shadowed(settings.at, placeIn(file, first.line)))
  }
  table.add({ ...read, keys: [nameKey(name), ...(key === undefined ? [] : [key])] })
}

/** The user of the table knows which authorities the issuer stands for. */
function settingsOf({ line, user, certificates, issuer }: ReadRule, file: string): RuleSettings {
  return {
    at: placeIn(file, line),
    user,
    certificates: certificates.length > 0 ? certificates : undefined,
    issuers: issuer === '' ? undefined : [],
  }
}
