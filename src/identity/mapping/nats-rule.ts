/** How users of `mapping: nats` are looked up, and what is wrong with them, in NATS's words. */
import { NATS_TYPE_NAMES, type NatsName, readNatsName } from './nats-names.ts'
import type { Finding, RuleSettings } from './rule.ts'

/** A user as in NATS: the certificate must hold the user's name. */
export interface NatsUser {
  readonly settings: RuleSettings
  readonly name: string
  /** Undefined for a name that is no distinguished name. */
  readonly parsed: NatsName | undefined
}

export function natsUserOf(settings: RuleSettings): NatsUser {
  const name = typeof settings.user === 'string' ? settings.user : ''
  return { settings, name, parsed: readNatsName(name) }
}

/** Every connection over HTTPS is what NATS calls a standard connection. */
export function mayCome({ settings: { connectionTypes } }: NatsUser): boolean {
  return connectionTypes === undefined || connectionTypes.includes('STANDARD')
}

/** A key that is the same for names that differ only in the order of their RDNs; older servers let one RDN stand for several (CVE-2026-33248). */
export function orderFree(name: NatsName): string {
  return JSON.stringify(name.map((rdn) => JSON.stringify(rdn)).sort())
}

/** Reports what NATS would ignore: the operator would believe in a check that is never made. */
export function unfit({ at, user, certificates, issuers }: RuleSettings): Finding[] {
  const wrong = (message: string): Finding => ({ at, message, isFatal: true })
  if (typeof user !== 'string') return [wrong('takes the user from the certificate, which needs mapping: strict')]
  if (certificates)
    return [wrong('has certificate, which needs mapping: strict; in NATS the user is what the certificate holds')]
  if (issuers) return [wrong('has issuer, which needs mapping: strict; in NATS the issuer is no part of a name')]
  return []
}

export function duplicate(at: string, name: string): Finding {
  return { at, message: `Duplicate user ${JSON.stringify(name)} detected`, isFatal: true }
}

export function neverMatches(user: NatsUser): Finding[] {
  const { name, parsed } = user
  const { at } = user.settings
  const message = mayCome(user) ? (parsed ? ignoredAttribute(parsed) : noName(name)) : ONLY_ELSEWHERE
  return message === undefined ? [] : [{ at, message, isFatal: false }]
}

export const ONLY_ELSEWHERE =
  'can never match: its connection types are without STANDARD, which all have that come over HTTPS'

function ignoredAttribute(parsed: NatsName): string | undefined {
  const types = parsed.flat().map((attribute) => attribute.slice(0, attribute.indexOf('=')))
  const ignored = types.find((type) => !NATS_TYPE_NAMES.has(type))
  return (
    ignored && `can never match a subject: NATS ignores ${ignored} in subjects; leave it out, or use mapping: strict`
  )
}

/** A plain word was probably meant as the CN. */
function noName(name: string): string | undefined {
  if (name.includes('=')) return 'can never match a subject: it is no distinguished name that NATS can read'
  if (!/^[\w-]+$/.test(name)) return undefined
  return `matches the DNS name ${JSON.stringify(name)} only: a bare CN names no user in NATS; write "CN=${name},…" with the whole subject`
}

/** Where users' names differ only in their order, each is found only by its exact order. */
export function shadowed(at: string, first: string): Finding {
  const message = `is the same name as ${first} in another order or spelling: it is found only for a subject in exactly its order`
  return { at, message, isFatal: false }
}
