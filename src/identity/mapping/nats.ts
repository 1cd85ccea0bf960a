/** `mapping: nats`: finds users as nats-server does, except for its flaw with repeated RDNs; the first in the file wins. */
import type { CertificateFacts } from '../../tls-cert-utils/certificate.ts'
import type { Mapping, Trial, Users } from '../../types.ts'
import type { FiledRules } from './filed-rules.ts'
import { domainComponents, goSubject, isSamePlaceByPlace, natsAlternatives, natsNameOf } from './nats-names.ts'
import {
  duplicate,
  mayCome,
  type NatsUser,
  natsUserOf,
  neverMatches,
  ONLY_ELSEWHERE,
  orderFree,
  shadowed,
  unfit,
} from './nats-rule.ts'
import { type Finding, type MapperSettings, mapped, type RuleMapper, userOf } from './rule.ts'

interface Found {
  readonly user: NatsUser
  readonly by: string
}

export class NatsMapper implements RuleMapper {
  readonly name = 'local'
  readonly #index = new NatsIndex()
  readonly #users: Users

  constructor({ rules, users }: Omit<MapperSettings, 'trusted'>) {
    this.#users = users
    for (const settings of rules) this.#index.add(natsUserOf(settings))
  }

  get findings(): readonly Finding[] {
    return this.#index.findings
  }

  attach(filed: FiledRules): void {
    this.#index.attach(filed)
  }

  map(certificate: CertificateFacts): Mapping {
    const found = this.#search(certificate)
    if (!found)
      return {
        status: 'unmapped',
        reason: `User in cert [${JSON.stringify(goSubject(certificate.subjectAttributes))}], not found`,
      }
    const { user, by } = found
    const { name, settings } = user
    return mapped(userOf(name, settings, this.#users, certificate), settings, `Using ${by} for auth`, this.#users)
  }

  *trials(certificate: CertificateFacts): Generator<Trial> {
    const found = this.#search(certificate)
    for (const user of this.#index.all()) {
      const matched = found?.user.name === user.name
      const reason = matched ? `Using ${found.by} for auth` : whyNot(user, certificate)
      yield { at: user.settings.at, rule: user.name, matched, reason }
    }
  }

  #search(certificate: CertificateFacts): Found | undefined {
    for (const { name, found } of natsAlternatives(certificate)) {
      const user = this.#index.named(name)
      if (user) return { user, by: found }
    }
    const subject = certificate.subjectAttributes
    const name = natsNameOf(subject)
    const candidates = name ? this.#index.inAnyOrder(orderFree(name)) : []
    const user = candidates.find(({ parsed }) => parsed && name && isSamePlaceByPlace(parsed, name)) ?? candidates[0]
    return user
      ? { user, by: 'DistinguishedNameMatch' }
      : this.#bySubject(goSubject(subject), domainComponents(subject))
  }

  #bySubject(subject: string, domain: string): Found | undefined {
    const whole = domain === '' ? undefined : this.#index.named(`${subject},${domain}`)
    if (whole) return { user: whole, by: 'RDNSequence' }
    const user = subject === '' ? undefined : this.#index.named(subject)
    return user && { user, by: 'certificate subject' }
  }
}

/** The users of the configuration, then those of files; a name stands for one of them only. */
class NatsIndex {
  readonly findings: Finding[] = []
  readonly #byName = new Map<string, NatsUser>()
  readonly #byRdns = new Map<string, NatsUser[]>()
  readonly #files: FiledRules[] = []

  add(user: NatsUser): void {
    const { settings, name, parsed } = user
    this.findings.push(...unfit(settings))
    if (this.#byName.has(name)) {
      this.findings.push(duplicate(settings.at, name))
      return
    }
    this.findings.push(...neverMatches(user))
    this.#byName.set(name, user)
    if (!parsed) return
    const key = orderFree(parsed)
    const [first, ...others] = this.#byRdns.get(key) ?? []
    if (first) this.findings.push(shadowed(settings.at, first.settings.at))
    this.#byRdns.set(key, first ? [first, ...others, user] : [user])
  }

  attach(filed: FiledRules): void {
    for (const name of this.#byName.keys())
      for (const { settings } of inFile(filed, nameKey(name))) this.findings.push(duplicate(settings.at, name))
    for (const [key, [first]] of this.#byRdns)
      for (const { settings } of inFile(filed, subjectKey(key)))
        if (first) this.findings.push(shadowed(settings.at, first.settings.at))
    this.#files.push(filed)
  }

  named(name: string): NatsUser | undefined {
    const user = this.#byName.get(name)
    if (user && mayCome(user)) return user
    return this.#files.flatMap((filed) => inFile(filed, nameKey(name)))[0]
  }

  /** @param key as `orderFree` makes it */
  inAnyOrder(key: string): readonly NatsUser[] {
    const own = this.#byRdns.get(key)?.filter(mayCome) ?? []
    return [...own, ...this.#files.flatMap((filed) => inFile(filed, subjectKey(key)))]
  }

  *all(): Generator<NatsUser> {
    yield* this.#byName.values()
    for (const filed of this.#files) for (const settings of filed.all()) yield natsUserOf(settings)
  }
}

function inFile(filed: FiledRules, key: string): NatsUser[] {
  return filed.candidates([key]).map(([settings]) => natsUserOf(settings))
}

/** The key by which a user of a file is looked up. */
export function nameKey(name: string): string {
  return `name:${name}`
}

export function subjectKey(orderFreeName: string): string {
  return `subject:${orderFreeName}`
}

/** Why a user was not taken: either an earlier one matched, or the certificate does not hold the name. */
function whyNot(user: NatsUser, certificate: CertificateFacts): string {
  if (!mayCome(user)) return ONLY_ELSEWHERE
  const { name: written, parsed } = user
  const subject = certificate.subjectAttributes
  const names = [...natsAlternatives(certificate).map(({ name }) => name), goSubject(subject)]
  const own = natsNameOf(subject)
  if (names.includes(written) || (parsed && own && orderFree(parsed) === orderFree(own)))
    return 'another user was found before'
  return 'the certificate has no such name'
}
