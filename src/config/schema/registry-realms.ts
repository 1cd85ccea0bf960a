/** Realms for Docker registries: who gets which token, in the words of Keycloak and distribution. */
import * as z from 'zod'
import type { Problem } from '../../errors.ts'
import { type Secret, secret } from '../secret.ts'
import { network } from './addresses.ts'
import type { CertificateConfig } from './certificates.ts'
import { block, field, type Kind, type Located, list, mapOfLists, Unfit } from './field.ts'
import { foreignKey } from './foreign-key.ts'
import { choice, integer, matching, onOff, positiveDuration, text } from './scalars.ts'

/** What a rule may look at in a certificate. */
const REGISTRY_CERTIFICATE_FIELDS = ['cn', 'ou', 'o', 'issuer', 'subject', 'dns', 'email', 'uri'] as const

/** What a repository or tag may be called, with wildcards, or `~` and an expression. */
const namePattern: Kind<string> = {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: it is what the user may write.
  expected: 'a name with * (one segment), ** (any), ${user} and ${group}, or ~ and a regular expression',
  json: { type: 'string', minLength: 1 },
  verbatim: true,
  parse(value) {
    if (typeof value !== 'string' || value === '') throw new Unfit('')
    if (value.startsWith('~')) return checkedExpression(value)
    const plain = value.replace(/\$\{(user|group)\}/g, '')
    if (!/^[\w./:*-]*$/.test(plain)) throw new Unfit('')
    return value
  },
}

function checkedExpression(value: string): string {
  try {
    new RegExp(`^(?:${value.slice(1)})$`)
    return value
  } catch {
    throw new Unfit("is no valid regular expression; expected JavaScript's syntax after ~")
  }
}

/** A date or a date with a time, in UTC where no zone is written. Parsed to milliseconds since the epoch. */
const moment: Kind<number> = {
  expected: 'a date such as 2027-01-31, or a time such as 2027-01-31T12:00:00Z, in quotes',
  json: { type: 'string' },
  parse(value) {
    const isDate = typeof value === 'string' && /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d))?$/.test(value)
    const time = isDate ? Date.parse(value) : Number.NaN
    if (Number.isNaN(time)) throw new Unfit('')
    return time
  },
}

const rule = block('A rule. It holds where all that it names is met: one of the users, one of the groups, and so on.', {
  name: field(text, { about: 'What logs and "sallyport inspect" call it.' }),
  effect: field(choice('allow', 'deny'), {
    default: 'allow',
    about: 'Whether it grants or refuses. What one rule refuses, no other can grant; their order does not matter.',
  }),
  users: list(text, { about: 'The names of users or robots; without it, everybody who has said who they are.' }),
  groups: list(text, { about: 'The groups of users.' }),
  anonymous: field(onOff, { default: 'off', about: 'Whether it also holds for those who have not said who they are.' }),
  certificate: mapOfLists(text, {
    about: `What the verified certificate must say: ${REGISTRY_CERTIFICATE_FIELDS.join(', ')}, each with the values of which one must be there; * and ** as in repositories.`,
  }),
  addresses: list(network, { about: 'The addresses and networks that it holds for: of clients, as for X-Real-IP.' }),
  repositories: list(namePattern, {
    default: [],
    about:
      // biome-ignore lint/suspicious/noTemplateCurlyInString: it is what the user may write.
      'The repositories: team/* has one more segment, team/** any; ${user} and ${group} stand for a single segment.',
  }),
  tags: list(namePattern, {
    about:
      'Only these tags. A token cannot say a tag, so in a token such a rule grants nothing and refuses for every tag; it is for registry gates.',
  }),
  actions: list(choice('pull', 'push', 'delete', '*'), {
    default: ['pull'],
    about: 'What may be done; push brings pull.',
  }),
  catalog: field(onOff, { default: 'off', about: 'Whether it is about the list of all repositories too.' }),
})

const robot = block('An account for a program.', {
  name: field(matching(/^[^\s:/]{1,128}$/, 'a name without spaces, colons and slashes'), {
    required: true,
    about: 'The name to log in with, for example robot$ci.',
  }),
  secret: field(secret, { secret: true, about: 'The secret: long, and made at random.' }),
  secret_sha256: field(matching(/^[0-9a-fA-F]{64}$/, '64 hexadecimal digits'), {
    about: 'In place of the secret its SHA-256, as "printf %s SECRET | sha256sum" prints it.',
  }),
  groups: list(text, { default: [], about: 'Its groups.' }),
  expires: field(moment, { otherwise: 'never', about: 'When it ends.' }),
})

export const registryRealm = block('A realm: the users and rights of one or more registries.', {
  name: field(matching(/^[A-Za-z0-9._-]{1,64}$/, 'letters, digits and any of . _ -'), {
    required: true,
    about: 'Its name in URLs: /auth/realms/NAME/protocol/docker-v2/auth.',
  }),
  services: list(text, { default: [], about: "The registries that may use it, by their service, Keycloak's clients." }),
  certificate: field(foreignKey('a certificate'), {
    required: true,
    about:
      'The certificate whose key (RSA or P-256) signs tokens; it, or its CA, is the rootcertbundle of the registry.',
  }),
  previous_certificates: list(foreignKey('a certificate'), {
    default: [],
    about: 'Those that signed before and are still published and believed, until the last of their tokens is over.',
  }),
  key_id: field(choice('libtrust', 'rfc7638'), {
    default: 'libtrust',
    about: 'The form of kid: libtrust for registry 2.x, rfc7638 for 3.x. Both read x5c, which is in every token.',
  }),
  issuer: field(text, {
    otherwise: "the realm's name",
    about: 'The issuer, exactly as in the configuration of the registry.',
  }),
  url: field(matching(/^https:\/\/[^/?#\s"\\]+$/, 'an address such as https://registry.example.com'), {
    otherwise: 'https:// and the Host of the request',
    about: 'Where clients reach this gateway, for challenges.',
  }),
  token_lifetime: field(positiveDuration, {
    default: '5m',
    about:
      'How long a token is good for. Uploads are judged when they begin, so it need not outlast them; but clients use a token for a minute even if it says less.',
  }),
  refresh_token_lifetime: field(positiveDuration, {
    default: '14d',
    about: 'How long a refresh token is good for, which docker login keeps in place of the password.',
  }),
  max_refresh_tokens: field(integer(1, 1_000_000), {
    default: 1000,
    about:
      'How many refresh tokens a user gets within the life of one; more would take the place of those of others in the store. Further log-ins come without one, so that clients keep the password.',
  }),
  not_before: field(moment, { about: 'Refresh tokens that were issued before this time are refused.' }),
  max_scopes: field(integer(1, 200), { default: 50, about: 'How many repositories one token may be asked for.' }),
  certificate_replaces_password: field(onOff, {
    default: 'off',
    about: 'Whether docker login may give any password for the user that its certificate belongs to.',
  }),
  rules: z.array(rule).prefault([]).describe('Who may do what.'),
  acl_file: field(text, {
    about: 'In place of rules, the acl of a docker_auth configuration, as it is: the first entry that matches counts.',
  }),
  authorization_socket: field(matching(/^(unix:)?\/.{1,100}$/, 'the path of a Unix socket'), {
    about: 'In place of rules, a program that is asked over this socket by HTTP (docs/registry.md).',
  }),
  authorization_timeout: field(positiveDuration, { default: '2s', about: 'How long that program may take.' }),
  robots: z.array(robot).prefault([]).describe('Accounts for programs.'),
})

type Written = z.output<typeof registryRealm> & Located
export type WrittenRegistryRealm = Omit<Written, 'rules' | 'robots'> & {
  readonly rules: readonly WrittenRegistryRule[]
  readonly robots: readonly RegistryRobotConfig[]
}
export type WrittenRegistryRule = z.output<typeof rule> & Located
export type RegistryRobotConfig = z.output<typeof robot> & Located & { readonly secret?: Secret | undefined }

/** A realm as it is used. */
export interface RegistryRealmConfig
  extends Omit<WrittenRegistryRealm, 'certificate' | 'previous_certificates' | 'issuer' | 'acl_file'> {
  readonly issuer: string
  readonly certificate: CertificateConfig
  readonly previous_certificates: readonly CertificateConfig[]
  /** What docker_auth's file says under `acl`, unread. */
  readonly acl: readonly unknown[] | undefined
}

export function checkRegistryRealm({ at, ...given }: WrittenRegistryRealm): Problem[] {
  const problems: Problem[] = []
  if (given.services.length === 0) {
    problems.push({ path: `${at}.services`, message: 'names no registry; write the service of its configuration' })
  }
  const sources = (['acl_file', 'authorization_socket'] as const).filter((name) => given[name] !== undefined)
  const [first, second] = given.rules.length > 0 ? ['rules', ...sources] : sources
  if (first !== undefined && second !== undefined) {
    problems.push({ path: `${at}.${second}`, message: `stands beside ${first}; rights come from one place, keep one` })
  }
  return problems
}

export function checkRegistryRule(written: WrittenRegistryRule): Problem[] {
  const { at, repositories, catalog, certificate = {} } = written
  const problems = emptyDemands(written)
  if (repositories.length === 0 && !catalog) {
    problems.push({ path: `${at}.repositories`, message: 'names nothing; write repositories: ["**"] for all of them' })
  }
  for (const name of Object.keys(certificate)) {
    if ((REGISTRY_CERTIFICATE_FIELDS as readonly string[]).includes(name)) continue
    const known = REGISTRY_CERTIFICATE_FIELDS.join(', ')
    problems.push({ path: `${at}.certificate.${name}`, message: `is no field of a certificate; known: ${known}` })
  }
  return problems
}

/** Of a rule that a list without values would make hold for everybody, or for nobody. */
function emptyDemands({ at, users, groups, addresses, tags, actions, certificate }: WrittenRegistryRule): Problem[] {
  const fields = Object.entries(certificate ?? {}).map(([name, values]) => [`certificate.${name}`, values] as const)
  const lists = Object.entries({ users, groups, addresses, tags, actions, certificate: certificate && fields })
  return [...lists, ...fields]
    .filter(([, values]) => values?.length === 0)
    .map(([name]) => ({ path: `${at}.${name}`, message: 'is empty; write a value, or remove it' }))
}

export function checkRobot({ at, secret: plain, secret_sha256: digest }: RegistryRobotConfig): Problem[] {
  if ((plain === undefined) !== (digest === undefined)) return []
  return [{ path: `${at}.secret`, message: 'write either secret or secret_sha256' }]
}
