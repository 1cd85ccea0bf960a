/** The 401: its headers name the ways to authenticate that are open, and its body, in Keystone's form, what is done and what is left to do. */
import { GatewayError } from '../errors.ts'
import type { AuthMethod, Identity, Outcome, User } from '../types.ts'
import { stepsOf } from './agreement.ts'
import { receiptBody } from './receipt-body.ts'
import { RECEIPT_HEADER, type Receipt } from './receipts.ts'

type Outcomes = readonly (readonly [AuthMethod, Outcome])[]

export interface RefusalOptions {
  /** Rules, each of which would have been enough for this user. */
  readonly rules: readonly (readonly AuthMethod[])[]
  readonly outcomes: Outcomes
  /** For the log. */
  readonly reasons: readonly string[]
  /** What was passed of an incomplete rule, with the receipt for it. */
  readonly found: Identity | undefined
  readonly receipt: Receipt | undefined
  /** The user as Keystone writes one, with the domain. */
  readonly describe: (user: User) => object
}

export function refusal({ rules, outcomes, reasons, found, receipt, describe }: RefusalOptions): GatewayError {
  const passed = new Set(outcomes.flatMap(([method, { status }]) => (status === 'accepted' ? [method] : [])))
  const open = [...new Set([...rules.flat(), ...outcomes.map(([method]) => method)])].filter(
    (each) => !passed.has(each),
  )
  const schemes = [...new Set(open.flatMap(({ challenge }) => challenge ?? []))]
  const headers = schemes.flatMap((scheme) => ['WWW-Authenticate', scheme])
  for (const [, outcome] of outcomes) if (outcome.status === 'denied') headers.push(...(outcome.headers ?? []))
  // RFC 9110 15.5.2 demands a challenge, and HTTP has no name for a client certificate.
  if (!headers.some((name, i) => i % 2 === 0 && name.toLowerCase() === 'www-authenticate')) {
    headers.push('WWW-Authenticate', 'Certificate')
  }
  if (receipt) headers.push(RECEIPT_HEADER, receipt.id)
  const names = (methods: Iterable<AuthMethod>) => [...methods].map(({ name }) => name).join(', ')
  // Beside another rule's reason, what a rule lacks that was passed in part: that caller was right so far.
  const lacking = found
    ? open.filter((method) => rules.some((rule) => rule.includes(method) && isBegun(rule, found)))
    : open
  const after = passed.size > 0 ? `, after ${names(passed)}` : ''
  // A receipt may hold all of a rule, and lets nobody in by itself.
  const missing = lacking.length > 0 ? `nothing yet for ${names(lacking)}${after}` : `nothing new${after}`
  const detail = found || reasons.length === 0 ? [missing, ...reasons] : reasons
  return new GatewayError('GW_UNAUTHENTICATED', detail.join('; '), {
    headers,
    members: {
      ...challenges(outcomes),
      ...(found?.user && receipt && receiptBody(stepsOf(found), describe(found.user), receipt, begun(rules, found))),
    },
  })
}

/** Keystone's body for the next steps of methods that take several. */
function challenges(outcomes: Outcomes): Record<string, unknown> {
  const open = outcomes.flatMap(([{ name }, outcome]) =>
    outcome.status === 'challenged' ? [[name, outcome.challenge] as const] : [],
  )
  if (open.length === 0) return {}
  const message = 'Additional authentications steps required.'
  const identity = { methods: open.map(([name]) => name), ...Object.fromEntries(open) }
  return { error: { code: 401, title: 'Unauthorized', message, identity } }
}

/** The rules that are passed in part. */
function begun(rules: RefusalOptions['rules'], found: Identity): string[][] {
  return rules.filter((rule) => isBegun(rule, found)).map((rule) => rule.map(({ name }) => name))
}

function isBegun(rule: readonly AuthMethod[], found: Identity): boolean {
  const steps = stepsOf(found)
  return rule.some(({ name }) => steps.includes(name))
}

/** The 503, where no rule is satisfied and this method may have satisfied one. */
export function couldNotTell({ name }: AuthMethod, cause: unknown): GatewayError {
  if (cause instanceof GatewayError && cause.entry.status === 503) return cause
  return new GatewayError('GW_UNDECIDED', `${name}: ${cause instanceof Error ? cause.message : String(cause)}`, {
    cause,
  })
}
