/** The credentials of the configuration, in the form that the methods compare. Problems with them are added to `materials`. */

import { decodeBase32 } from '../auth/methods/totp.ts'
import type { PasswordEntry } from '../auth/passwords/check.ts'
import { checkHash, HashError, hashOfClear, looksLikeHash } from '../auth/passwords/hash.ts'
import type { Config } from '../config/index.ts'
import type { Users } from '../types.ts'
import type { Materials } from './materials.ts'

/** SHA-1 in hex, as decK dumps it. */
const KONGS_HASH = /^[0-9a-f]{40}$/

type CredentialKind = 'basicauth_credentials' | 'keyauth_credentials' | 'application_credentials'

export function eachCredential<K extends CredentialKind>({ consumers }: Config, users: Users, kind: K) {
  type Given = Config['consumers'][number][K][number]
  return consumers.flatMap((consumer) => {
    const user = users.byId(consumer.id)
    return user ? consumer[kind].map((given) => ({ user, given: given as Given })) : []
  })
}

export function passwordEntries(config: Config, users: Users, materials: Materials): Map<string, PasswordEntry> {
  const entries = new Map<string, PasswordEntry>()
  for (const { user, given } of eachCredential(config, users, 'basicauth_credentials')) {
    const hash = usableHash(given.password.reveal(), `${given.at}.password`, materials)
    if (hash !== undefined) entries.set(given.username, { user, hash, credential: given.id })
  }
  return entries
}

/** The passwords of users whom a server's certificates are mapped to. */
export function mappedEntries({ listeners }: Config, materials: Materials): Map<string, PasswordEntry> {
  const entries = new Map<string, PasswordEntry>()
  for (const server of listeners.flatMap(({ servers }) => servers)) {
    for (const { at, user: name, password } of server.authorization.users) {
      if (!password) continue
      const hash = usableHash(password.reveal(), `${at}.password`, materials)
      if (typeof name !== 'string') materials.problem(`${at}.password`, 'is one for many users; write user as one name')
      else if (hash !== undefined)
        addMapped(entries, mappedKey(server.server_names[0] ?? '_', name), hash, at, materials)
    }
  }
  return entries
}

function addMapped(
  entries: Map<string, PasswordEntry>,
  key: string,
  hash: string,
  at: string,
  materials: Materials,
): void {
  const other = entries.get(key)
  if (other && other.hash !== hash) materials.problem(`${at}.password`, 'is another one than the same user has above')
  entries.set(key, { user: { id: key, name: key, groups: [], customId: undefined }, hash, credential: undefined })
}

/** Each server has its own users. The first space separates: no server name holds one. */
export function mappedKey(server: string, user: string): string {
  return `${server} ${user}`
}

function usableHash(written: string, setting: string, materials: Materials): string | undefined {
  if (!looksLikeHash(written)) {
    const what = KONGS_HASH.test(written) ? "a password in clear, or Kong's hash of one," : 'a password in clear,'
    materials.warn(setting, `is ${what} which whoever reads it can use; write what "sallyport hash" makes of it`)
    return hashOfClear(written)
  }
  try {
    checkHash(written)
    return written
  } catch (error) {
    if (!(error instanceof HashError)) throw error
    materials.problem(setting, error.message)
    return undefined
  }
}

export function totpSecrets(config: Config, materials: Materials): Map<string, Buffer[]> {
  const secrets = new Map<string, Buffer[]>()
  for (const consumer of config.consumers) {
    for (const { at, secret } of consumer.totp_credentials) {
      const decoded = decodeBase32(secret.reveal())
      if (decoded && decoded.length >= 10) secrets.set(consumer.id, [...(secrets.get(consumer.id) ?? []), decoded])
      else
        materials.problem(
          `${at}.secret`,
          'is no base32 of at least 80 bits; expected what the authenticator app was given',
        )
    }
  }
  return secrets
}

export function programEntries(config: Config, users: Users, materials: Materials): Map<string, PasswordEntry> {
  const entries = new Map<string, PasswordEntry>()
  for (const { user, given } of eachCredential(config, users, 'application_credentials')) {
    const { id, expires_at: expiresAt } = given
    const hash = usableHash(given.secret.reveal(), `${given.at}.secret`, materials)
    const attributes = { app_cred_id: id }
    if (hash !== undefined) entries.set(id, { user, hash, credential: id, expiresAt, attributes })
  }
  return entries
}

export function programsOf({ consumers }: Config): (name: string, owner: string) => string | undefined {
  return (name, owner) =>
    consumers
      .filter((consumer) => consumer.id === owner || consumer.name === owner)
      .flatMap(({ application_credentials }) => application_credentials)
      .find((program) => program.name === name)?.id
}

/** Clients of the Identity API name the user, not the log-in name. A user without one is asked for by name, as whoever is not there at all. */
export function loginsOf({ consumers }: Config): (user: string) => string | undefined {
  const logins = new Map<string, string>()
  for (const {
    id,
    name,
    basicauth_credentials: [first],
  } of consumers) {
    for (const key of [name, id]) logins.set(key, first?.username ?? name)
  }
  return (user) => logins.get(user)
}
