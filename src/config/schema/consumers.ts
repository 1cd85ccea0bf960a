/** Kong's consumers: the users that may be found by a certificate or a credential, and their groups. */
import * as z from 'zod'
import type { Problem } from '../../errors.ts'
import { type Secret, secret } from '../secret.ts'
import { apiKey } from './api-key.ts'
import { rule } from './auth.ts'
import { entity, field, type Kind, type Located, list, Unfit } from './field.ts'
import { foreignKey } from './foreign-key.ts'
import { onOff, text, timestamp } from './scalars.ts'

/** A group by its name, or as `{name: …}`, which is how Kong's tools write it. */
export const groupName: Kind<string> = {
  expected: 'the name of a group, or a map with its name',
  json: foreignKey('a group').json,
  parse(value) {
    const name = foreignKey('a group').parse(value)
    if (name.includes(',')) throw new Unfit('holds a comma, which separates groups in headers; choose another name')
    return name
  },
}

const aclFields = { group: field(groupName, { required: true, about: 'The name of the group.' }) }
const mtlsFields = {
  subject_name: field(text, {
    required: true,
    about:
      'The certificate: a typed rule as in authorization.users[].certificate, or, as in Kong, a name that must be one of its alternative names, else its CN.',
  }),
  ca_certificate: field(foreignKey('a CA certificate'), {
    otherwise: 'any authority that the server trusts',
    about: 'The authority that must have issued it. Needed where a server trusts more than one.',
  }),
}
const basicFields = {
  username: field(text, { required: true, about: 'The name to log in with.' }),
  password: field(secret, { required: true, secret: true, about: 'The password.' }),
}
const keyFields = {
  key: field(apiKey, { required: true, secret: true, about: 'The key, or sha256: and its digest in hexadecimal.' }),
}
const totpFields = { secret: field(secret, { required: true, secret: true, about: 'The shared secret, base32.' }) }
const applicationFields = {
  name: field(text, { about: "Its name, unique among the consumer's." }),
  secret: field(secret, { required: true, secret: true, about: 'What "sallyport hash" makes of the secret.' }),
  expires_at: field(timestamp, { otherwise: 'never', about: 'When it ends.' }),
  project: field(text, {
    otherwise: "the user's default_project",
    about: 'The id or name of the project that tokens which it gets from the Identity API are for.',
  }),
}

const owner = { consumer: field(foreignKey('a consumer'), { required: true, about: 'Whose it is.' }) }

export const acl = entity('A group of a consumer.', { ...aclFields, ...owner })
export const mtlsAuthCredential = entity('A certificate of a consumer.', { ...mtlsFields, ...owner })
export const basicauthCredential = entity('A name and password of a consumer.', { ...basicFields, ...owner })
export const keyauthCredential = entity('A key of a consumer.', { ...keyFields, ...owner })
export const totpCredential = entity('A one-time password generator of a consumer.', { ...totpFields, ...owner })
export const applicationCredential = entity('A credential for a program of a consumer.', {
  ...applicationFields,
  ...owner,
})

export const consumer = entity('A user.', {
  username: field(text, { about: 'The name, unique. It or custom_id must be there.' }),
  custom_id: field(text, { about: 'What another system calls the user, unique.' }),
  groups: list(groupName, { default: [], about: 'The groups that it belongs to.' }),
  enabled: field(onOff, {
    default: true,
    about: 'false: nothing lets this user in, even where a certificate, a plugin or another issuer names him.',
  }),
  domain: field(text, { otherwise: 'the first of identity_api.domains', about: 'The id or name of its domain.' }),
  multi_factor_auth_rules: list(rule, {
    default: [],
    about:
      'The combinations of methods of which the user must pass one, whatever a rule asks for: at routes, at the Identity API and at registry realms, as in [[password, totp]]; without it, any will do.',
  }),
  multi_factor_auth_enabled: field(onOff, { default: true, about: 'false: multi_factor_auth_rules do not count.' }),
  default_project: field(text, {
    about: 'The id or name of the project that tokens are for where the client says none.',
  }),
  acls: z
    .array(entity('A group of this consumer.', aclFields))
    .prefault([])
    .describe('Groups, as the ACL plugin of Kong has them.'),
  mtls_auth_credentials: z
    .array(entity('A certificate of this consumer.', mtlsFields))
    .prefault([])
    .describe('The certificates that belong to the user.'),
  basicauth_credentials: z
    .array(entity('A name and password of this consumer.', basicFields))
    .prefault([])
    .describe('Names and passwords. A user without any can never log in by name.'),
  keyauth_credentials: z.array(entity('A key of this consumer.', keyFields)).prefault([]).describe('Keys.'),
  totp_credentials: z
    .array(entity('A one-time password generator of this consumer.', totpFields))
    .prefault([])
    .describe('Generators of one-time passwords (RFC 6238).'),
  application_credentials: z
    .array(entity('A credential for a program of this consumer.', applicationFields))
    .prefault([])
    .describe('Credentials for programs, each with an id and a secret of its own, as in Keystone.'),
})

export const consumerGroup = entity('A group of consumers.', {
  name: field(groupName, { required: true, about: 'Its name.' }),
})

export const consumerGroupConsumer = entity('That a consumer belongs to a group.', {
  consumer: field(foreignKey('a consumer'), { required: true, about: 'The consumer.' }),
  consumer_group: field(foreignKey('a consumer group'), { required: true, about: 'The group.' }),
})

export type WrittenConsumer = z.output<typeof consumer> & Located

interface Credential extends Located {
  /** Its id, for X-Credential-Identifier; undefined where none is written. */
  readonly id: string | undefined
}

export interface MtlsCredentialConfig extends Credential {
  readonly subject_name: string
  /** The name or id of the authority in `ca_certificates`. */
  readonly ca_certificate: string | undefined
}

export interface BasicCredentialConfig extends Credential {
  readonly username: string
  readonly password: Secret
}

export interface KeyCredentialConfig extends Credential {
  readonly key: Secret
}

export interface TotpCredentialConfig extends Credential {
  readonly secret: Secret
}

export interface ApplicationCredentialConfig extends Located {
  readonly id: string
  readonly name: string | undefined
  readonly secret: Secret
  /** In milliseconds since the epoch. */
  readonly expires_at: number | undefined
  /** The id or name. */
  readonly project: string | undefined
}

/** A user as it is used. */
export interface ConsumerConfig extends Located {
  /** Its id, else its name. */
  readonly id: string
  /** Its username, else its custom_id. */
  readonly name: string
  readonly custom_id: string | undefined
  /** Every group that it belongs to, wherever that is written, each once. */
  readonly groups: readonly string[]
  /** The id or name of its domain; undefined: the first. */
  readonly domain: string | undefined
  /** The id or name. */
  readonly default_project: string | undefined
  /** Empty where they are not enabled. */
  readonly multi_factor_auth_rules: readonly (readonly string[])[]
  readonly mtls_auth_credentials: readonly MtlsCredentialConfig[]
  readonly basicauth_credentials: readonly BasicCredentialConfig[]
  readonly keyauth_credentials: readonly KeyCredentialConfig[]
  readonly totp_credentials: readonly TotpCredentialConfig[]
  readonly application_credentials: readonly ApplicationCredentialConfig[]
}

export function checkConsumer({ at, username, custom_id }: WrittenConsumer): Problem[] {
  if (username !== undefined || custom_id !== undefined) return []
  return [{ path: at, message: "must set one of 'username', 'custom_id'" }]
}
