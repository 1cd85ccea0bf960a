/** Which certificates belong to which users, with NATS's words: `verify_and_map` and `authorization.users`. */
import * as z from 'zod'
import { type Secret, secret } from '../secret.ts'
import { groupName } from './consumers.ts'
import { block, field, type Kind, type Located, list, Unfit } from './field.ts'
import { choice, integer, size, text } from './scalars.ts'

/** A user whose name stands in the certificate. */
export interface UserFromCertificate {
  readonly from?: string
  readonly domain?: string
  readonly template?: string
}

const PARTS = ['from', 'domain', 'template'] as const

const userName: Kind<string | UserFromCertificate> = {
  expected: 'a name, or {from: san.email, domain: example.com}, or {template: "{subject.cn}"}',
  json: {
    anyOf: [
      { type: 'string', minLength: 1 },
      {
        type: 'object',
        properties: Object.fromEntries(PARTS.map((part) => [part, { type: 'string' }])),
        additionalProperties: false,
        minProperties: 1,
      },
    ],
  },
  parse(value) {
    if (typeof value === 'string' && value !== '') return value
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Unfit('')
    const entries = Object.entries(value)
    const known: readonly string[] = PARTS
    if (
      entries.length === 0 ||
      entries.some(([key, each]) => !known.includes(key) || typeof each !== 'string' || !each)
    )
      throw new Unfit('')
    return Object.fromEntries(entries)
  },
}

const CONNECTION_TYPES = ['STANDARD', 'WEBSOCKET', 'LEAFNODE', 'LEAFNODE_WS', 'MQTT', 'MQTT_WS', 'IN_PROCESS']

const connectionType: Kind<string> = {
  expected: `one of ${CONNECTION_TYPES.join(', ')}`,
  words: CONNECTION_TYPES,
  json: { type: 'string' },
  parse(value) {
    const type = typeof value === 'string' ? value.toUpperCase() : ''
    if (CONNECTION_TYPES.includes(type)) return type
    throw new Unfit(`invalid connection types; expected one of ${CONNECTION_TYPES.join(', ')}`)
  },
}

const mappedUser = block('A user and his certificates.', {
  user: field(userName, {
    required: true,
    about:
      'The user\'s name; with mapping: nats what the certificate must hold, as in NATS. Or how to take the name from the certificate: {from: san.email, domain: example.com}, {from: spiffe}, {template: "{subject.cn}@{subject.o}"}.',
  }),
  certificate: list(text, {
    otherwise: 'the user itself, which must have a type then',
    about:
      'What names the certificate, one of these is enough: email:, dns:, uri:, upn:, dn:, cn:, spki:, fingerprint: (both SHA-256), serial: (with issuer).',
  }),
  issuer: field(text, {
    otherwise: 'any authority that the server trusts; needed where there are several',
    about:
      'The authority that must have issued the certificate: the name or id of one of ca_certificates, or the distinguished name of one that the server trusts.',
  }),
  password: field(secret, {
    secret: true,
    about: 'A password that the user must give besides the certificate, as in NATS.',
  }),
  groups: list(groupName, { default: [], about: 'Groups of the user, besides those of the consumer of that name.' }),
  allowed_connection_types: list(connectionType, {
    about:
      "With mapping: nats, NATS's kinds of connections that the user may come by. All that come over HTTPS are STANDARD; a user without it is nobody here.",
  }),
  connection_types: list(connectionType, { about: 'The same as allowed_connection_types, as in NATS.' }),
  clients: list(connectionType, { about: 'The same as allowed_connection_types, as in NATS.' }),
  groups_from: list(choice('OU', 'O'), {
    default: [],
    about: 'Attributes of the subject whose values are groups of the user too.',
  }),
})

export const authorization = block('Which certificates belong to which users. The first that matches counts.', {
  users: z.array(mappedUser).prefault([]).describe('The users.'),
  users_file: field(text, {
    about:
      'A file with more users, after those that are written here. CSV: its first line is user,certificate or user,certificate,groups (and issuer), groups separated by semicolons; with mapping: nats user or user,groups. YAML (.yaml, .yml): a list like users, of which each begins with "- " at the start of a line. It is read without holding up requests, and again when it changes.',
  }),
  users_file_max_size: field(size(1, 2 ** 32 - 1), { default: '64m', about: 'The largest users_file that is read.' }),
  users_file_max_users: field(integer(1, 100_000_000), {
    default: 2_000_000,
    about: 'How many users the file may hold.',
  }),
  users_file_max_entry: field(size(64, 16 * 1024 * 1024), {
    default: '64k',
    about: 'How long one user of the file may be, in characters.',
  }),
})

/** As it is used. */
export interface MappedUserConfig extends Located {
  readonly user: string | UserFromCertificate
  readonly certificate?: readonly string[]
  readonly issuer?: string
  readonly password?: Secret
  readonly groups: readonly string[]
  readonly groups_from: readonly ('OU' | 'O')[]
  readonly allowed_connection_types?: readonly string[]
  readonly connection_types?: readonly string[]
  readonly clients?: readonly string[]
}

export interface AuthorizationConfig {
  readonly users: readonly MappedUserConfig[]
  /** Absolute. */
  readonly users_file?: string | undefined
  readonly users_file_max_size: number
  readonly users_file_max_users: number
  readonly users_file_max_entry: number
}
