/** What mapping rules consist of, however they are matched. */
import type { CertificateFacts } from '../../tls-cert-utils/certificate.ts'
import type { CertificateMapper, Connection, Mapping, Trial, User, Users } from '../../types.ts'
import type { FiledRules } from './filed-rules.ts'
import type { SourceSettings } from './user-source.ts'

/** One of `authorization.users`, or a certificate of a consumer. */
export interface RuleSettings {
  /** Where it stands, as `listeners[0].servers[0].authorization.users[2]`. */
  readonly at: string
  readonly user: string | SourceSettings
  /** Typed rules, one of which must match the certificate. */
  readonly certificates?: readonly string[] | undefined
  /** Kong's name without a type. */
  readonly subjectName?: string | undefined
  /** The certificate must be issued by one of these authorities; undefined for any that the server trusts. */
  readonly issuers?: readonly CertificateFacts[] | undefined
  readonly groups?: readonly string[] | undefined
  readonly groupsFrom?: readonly ('OU' | 'O')[] | undefined
  /** Further methods that the user must pass. */
  readonly requires?: readonly string[] | undefined
  readonly credential?: string | undefined
  /** NATS's kinds of connections that the user may use; undefined for any. */
  readonly connectionTypes?: readonly string[] | undefined
}

export interface MapperSettings {
  readonly rules: readonly RuleSettings[]
  readonly users: Users
  /** The authorities that the server trusts. */
  readonly trusted: readonly CertificateFacts[]
}

/** Something to report about a setting; `isFatal` keeps the gateway from starting. */
export interface Finding {
  readonly at: string
  readonly message: string
  readonly isFatal: boolean
}

/** The mapper of a server's own rules. */
export interface RuleMapper extends CertificateMapper {
  map(certificate: CertificateFacts, connection: Connection): Mapping
  /** Tries every rule in order, also those after one that matched; `map` returns the first that does. */
  trials(certificate: CertificateFacts, connection: Connection): Iterable<Trial>
  readonly findings: readonly Finding[]
  /** Adds rules after its own, at any time; until then these match nobody. */
  attach(filed: FiledRules): void
}

const ATTRIBUTE = { OU: '2.5.4.11', O: '2.5.4.10' } as const

/** The user of a rule: the known user of that name, with the rule's groups added. */
export function userOf(
  name: string,
  rule: RuleSettings,
  users: Users,
  certificate: CertificateFacts | undefined,
): User {
  const known = users.byName(name)
  const groups = new Set([...(known?.groups ?? []), ...(rule.groups ?? [])])
  const oids: readonly string[] = (rule.groupsFrom ?? []).map((type) => ATTRIBUTE[type])
  for (const { oid, value, isText } of certificate?.subjectAttributes.flat() ?? []) {
    // A comma would turn one group into two in the header.
    if (isText && oids.includes(oid) && !value.includes(',')) groups.add(value)
  }
  if (known && groups.size === known.groups.length) return known
  const { id, customId } = known ?? { id: name, customId: undefined }
  return Object.freeze({ id, name, customId, groups: Object.freeze([...groups]) })
}

/** The mapping of a rule that matched. */
export function mapped(user: User, rule: RuleSettings, reason: string, users: Users): Mapping {
  if (users.isDisabled(user.name))
    return Object.freeze({ status: 'unmapped', reason: `${user.name} is not enabled (${rule.at})`, disabled: true })
  if (users.isIdOfAnother(user.name)) {
    const reason = `${JSON.stringify(user.name)} is the id of another user (${rule.at})`
    return Object.freeze({ status: 'unmapped', reason })
  }
  return Object.freeze({
    status: 'mapped',
    user,
    reason: `${reason} (${rule.at})`,
    credential: rule.credential,
    requires: rule.requires,
  })
}
