/** `mapping: nats`: users are found as nats-server finds them, with its flaw of repeated RDNs mended; the first in the file wins. */
import type { CertificateFacts } from '../../tls-cert-utils/certificate.ts'
import type { Mapping, Trial } from '../../types.ts'
import {
  domainComponents,
  goSubject,
  isSameInAnyOrder,
  isSamePlaceByPlace,
  NATS_TYPE_NAMES,
  type NatsName,
  natsAlternatives,
  natsNameOf,
  readNatsName,
} from './nats-names.ts'
import { type Finding, mapped, type RuleMapper, type RuleSettings, userOf } from './rule.ts'
import type { MapperSettings } from './strict.ts'

/** A user as NATS has it: his name is what the certificate must hold. */
interface NatsUser {
  readonly settings: RuleSettings
  readonly name: string
  readonly position: number
  /** Undefined for a name that is no distinguished name. */
  readonly parsed: NatsName | undefined
}

interface Found {
  readonly user: NatsUser
  readonly by: string
}

export function createNatsMapper({ rules, users }: Omit<MapperSettings, 'trusted'>): RuleMapper {
  const findings: Finding[] = rules.flatMap(unfit)
  const byName = new Map<string, NatsUser>()
  const byRdns = new Map<string, NatsUser[]>()
  for (const [position, settings] of rules.entries()) {
    const name = typeof settings.user === 'string' ? settings.user : ''
    if (byName.has(name)) {
      findings.push({ at: settings.at, message: `Duplicate user ${JSON.stringify(name)} detected`, isFatal: true })
      continue
    }
    const user: NatsUser = { settings, name, position, parsed: readNatsName(name) }
    findings.push(...neverMatches(user))
    byName.set(name, user)
    if (!user.parsed) continue
    const key = orderFree(user.parsed)
    const others = byRdns.get(key)
    if (others) findings.push(...shadowed(user, others))
    byRdns.set(key, [...(others ?? []), user])
  }

  const search = (certificate: CertificateFacts): Found | undefined => {
    for (const { name, found } of natsAlternatives(certificate)) {
      const user = byName.get(name)
      if (user) return { user, by: found }
    }
    const subject = certificate.subjectAttributes
    const name = natsNameOf(subject)
    const candidates = (name && byRdns.get(orderFree(name))) ?? []
    const user =
      candidates.find(({ parsed }) => parsed && name && isSamePlaceByPlace(parsed, name)) ??
      candidates.find(({ parsed }) => parsed && name && isSameInAnyOrder(parsed, name))
    return user ? { user, by: 'DistinguishedNameMatch' } : bySubject(goSubject(subject), domainComponents(subject))
  }

  const bySubject = (subject: string, domain: string): Found | undefined => {
    const whole = domain === '' ? undefined : byName.get(`${subject},${domain}`)
    if (whole) return { user: whole, by: 'RDNSequence' }
    const user = subject === '' ? undefined : byName.get(subject)
    return user && { user, by: 'certificate subject' }
  }

  return {
    name: 'local',
    findings,
    map(certificate: CertificateFacts): Mapping {
      const found = search(certificate)
      if (!found)
        return {
          status: 'unmapped',
          reason: `User in cert [${JSON.stringify(goSubject(certificate.subjectAttributes))}], not found`,
        }
      const { user, by } = found
      return mapped(userOf(user.name, user.settings, users, certificate), user.settings, `Using ${by} for auth`)
    },
    *trials(certificate: CertificateFacts): Generator<Trial> {
      const found = search(certificate)
      for (const { settings, name } of byName.values()) {
        const matched = found?.user.name === name
        const reason = matched ? `Using ${found.by} for auth` : whyNot(name, certificate)
        yield { at: settings.at, rule: name, matched, reason }
      }
    },
  }
}

function orderFree(name: NatsName): string {
  return JSON.stringify(name.map((rdn) => JSON.stringify(rdn)).sort())
}

/** Of a user who was not taken: whether another one came first, or nothing in the certificate is called so. */
function whyNot(user: string, certificate: CertificateFacts): string {
  const subject = certificate.subjectAttributes
  const names = [...natsAlternatives(certificate).map(({ name }) => name), goSubject(subject)]
  const parsed = readNatsName(user)
  const own = natsNameOf(subject)
  if (names.includes(user) || (parsed && own && isSameInAnyOrder(parsed, own))) return 'another user was found before'
  return 'the certificate has no such name'
}

/** What has no meaning in NATS would let the operator believe in a check that is not made. */
function unfit({ at, user, certificates, issuers }: RuleSettings): Finding[] {
  const wrong = (message: string): Finding => ({ at, message, isFatal: true })
  if (typeof user !== 'string') return [wrong('takes the user from the certificate, which needs mapping: strict')]
  if (certificates)
    return [wrong('has certificate, which needs mapping: strict; in NATS the user is what the certificate holds')]
  if (issuers) return [wrong('has issuer, which needs mapping: strict; in NATS the issuer is no part of a name')]
  return []
}

function neverMatches({ settings: { at }, name, parsed }: NatsUser): Finding[] {
  const message = parsed ? ignoredAttribute(parsed) : noName(name)
  return message === undefined ? [] : [{ at, message, isFatal: false }]
}

function ignoredAttribute(parsed: NatsName): string | undefined {
  const types = parsed.flat().map((attribute) => attribute.slice(0, attribute.indexOf('=')))
  const ignored = types.find((type) => !NATS_TYPE_NAMES.has(type))
  return (
    ignored && `can never match a subject: NATS ignores ${ignored} in subjects; leave it out, or use mapping: strict`
  )
}

/** A plain word mostly was meant to be the CN. */
function noName(name: string): string | undefined {
  if (name.includes('=')) return 'can never match a subject: it is no distinguished name that NATS can read'
  if (!/^[\w-]+$/.test(name)) return undefined
  return `matches the DNS name ${JSON.stringify(name)} only: a bare CN names no user in NATS; write "CN=${name},…" with the whole subject`
}

/** Of users whose names differ only in their order, each is found only where the order is exactly his. */
function shadowed({ settings: { at } }: NatsUser, [first]: readonly NatsUser[]): Finding[] {
  const message = `is the same name as ${first?.settings.at} in another order or spelling: it is found only for a subject in exactly its order`
  return [{ at, message, isFatal: false }]
}
