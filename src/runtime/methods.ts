/** The authentication methods that are set up, made of the configuration's users and their credentials. */
import { Lockout } from '../auth/lockout.ts'
import { createApiKeyMethod } from '../auth/methods/api-key.ts'
import { createApplicationCredentialMethod } from '../auth/methods/application-credential.ts'
import { createExternalMethod } from '../auth/methods/external.ts'
import { createPasswordMethod } from '../auth/methods/password.ts'
import { createTotpMethod, decodeBase32 } from '../auth/methods/totp.ts'
import { PasswordCheck, type PasswordEntry } from '../auth/passwords/check.ts'
import { checkHash, HashError, hashOfClear, looksLikeHash } from '../auth/passwords/hash.ts'
import { Hasher } from '../auth/passwords/hasher.ts'
import type { Config } from '../config/index.ts'
import { createAddressSet } from '../routing/addresses.ts'
import type { AuthMethod, Store, Users } from '../types.ts'
import type { Materials } from './materials.ts'

export interface MethodsOptions {
  readonly config: Config
  readonly users: Users
  readonly materials: Materials
  readonly store: Store
  /** What is made elsewhere. */
  readonly others: readonly AuthMethod[]
}

export interface Methods {
  readonly byName: ReadonlyMap<string, AuthMethod>
  /** For services that take a name and a password in their own way, whatever rules may name. */
  readonly password: AuthMethod
}

export function buildMethods({ config, users, materials, store, others }: MethodsOptions): Methods {
  const { auth } = config
  const { realm } = auth
  const { attempts, window, backoff, max_backoff: maxBackoff } = auth.lockout
  const lockout = new Lockout(store, { attempts, window, backoff, maxBackoff })
  const { threads, queue, remember } = auth.password
  const hasher = new Hasher({ threads, queue })
  const entries = passwordEntries(config, users, materials)
  const check = new PasswordCheck({ kind: 'password', entries, hasher, lockout, remember })
  const password = createPasswordMethod({ check, realm, loginOf: loginsOf(config) })
  const trusted = createAddressSet(auth.external.trusted_ips)
  const made: readonly AuthMethod[] = [
    ...others,
    password,
    createTotpMethod({
      ...{ realm, users, store, lockout, header: auth.totp.header },
      previousWindows: auth.totp.included_previous_windows,
      secrets: totpSecrets(config, materials),
    }),
    createApplicationCredentialMethod({
      ...{ realm, idOf: programsOf(config) },
      check: new PasswordCheck({
        ...{ kind: 'application_credential', hasher, lockout, remember },
        entries: programEntries(config, users, materials),
      }),
    }),
    createApiKeyMethod({
      realm,
      keyNames: auth['api-key'].key_names,
      inHeader: auth['api-key'].key_in_header,
      inQuery: auth['api-key'].key_in_query,
      keys: eachCredential(config, users, 'keyauth_credentials').map(({ user, given }) => {
        return { user, key: given.key.reveal(), credential: given.id }
      }),
    }),
    createExternalMethod({ header: auth.external.header, trusted, users }),
  ]
  const named = new Map(made.map((method) => [method.name, method]))
  const inUse = auth.methods.flatMap((name) => named.get(name) ?? [])
  return { byName: new Map(inUse.map((method) => [method.name, method])), password }
}

type CredentialKind = 'basicauth_credentials' | 'keyauth_credentials' | 'application_credentials'

function eachCredential<K extends CredentialKind>({ consumers }: Config, users: Users, kind: K) {
  type Given = Config['consumers'][number][K][number]
  return consumers.flatMap((consumer) => {
    const user = users.byId(consumer.id)
    return user ? consumer[kind].map((given) => ({ user, given: given as Given })) : []
  })
}

function passwordEntries(config: Config, users: Users, materials: Materials): Map<string, PasswordEntry> {
  const entries = new Map<string, PasswordEntry>()
  for (const { user, given } of eachCredential(config, users, 'basicauth_credentials')) {
    const hash = usableHash(given.password.reveal(), `${given.at}.password`, materials)
    if (hash !== undefined) entries.set(given.username, { user, hash, credential: given.id })
  }
  return entries
}

function usableHash(written: string, setting: string, materials: Materials): string | undefined {
  if (!looksLikeHash(written)) {
    materials.warn(
      setting,
      'is a password in clear, which whoever reads it can use; write what "sallyport hash" makes of it',
    )
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

function totpSecrets(config: Config, materials: Materials): Map<string, Buffer[]> {
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

function programEntries(config: Config, users: Users, materials: Materials): Map<string, PasswordEntry> {
  const entries = new Map<string, PasswordEntry>()
  for (const { user, given } of eachCredential(config, users, 'application_credentials')) {
    const hash = usableHash(given.secret.reveal(), `${given.at}.secret`, materials)
    if (hash !== undefined) entries.set(given.id, { user, hash, credential: given.id, expiresAt: given.expires_at })
  }
  return entries
}

function programsOf({ consumers }: Config): (name: string, owner: string) => string | undefined {
  return (name, owner) =>
    consumers
      .filter((consumer) => consumer.id === owner || consumer.name === owner)
      .flatMap(({ application_credentials }) => application_credentials)
      .find((program) => program.name === name)?.id
}

/** The Identity API's clients say who the user is, not how he logs in. */
function loginsOf({ consumers }: Config): (user: string) => string | undefined {
  const logins = new Map<string, string>()
  for (const {
    id,
    name,
    basicauth_credentials: [first],
  } of consumers) {
    if (first) for (const key of [name, id]) logins.set(key, first.username)
  }
  return (user) => logins.get(user)
}
