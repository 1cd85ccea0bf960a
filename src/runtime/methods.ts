/** The authentication methods that are set up, built from the users and credentials of the configuration. */
import { hkdfSync } from 'node:crypto'
import { Lockout } from '../auth/lockout.ts'
import { createApiKeyMethod } from '../auth/methods/api-key.ts'
import { createApplicationCredentialMethod } from '../auth/methods/application-credential.ts'
import { createExternalMethod } from '../auth/methods/external.ts'
import { createPasswordMethod } from '../auth/methods/password.ts'
import { createTotpMethod } from '../auth/methods/totp.ts'
import { PasswordCheck, type PasswordCheckOptions } from '../auth/passwords/check.ts'
import { Hasher } from '../auth/passwords/hasher.ts'
import type { Config } from '../config/index.ts'
import { createPeerSet } from '../routing/addresses.ts'
import type { AuthMethod, Store, User, Users, VirtualServer } from '../types.ts'
import {
  eachCredential,
  loginsOf,
  mappedEntries,
  mappedKey,
  passwordEntries,
  programEntries,
  programsOf,
  totpSecrets,
} from './credentials.ts'
import type { Materials } from './materials.ts'

export interface MethodsOptions {
  readonly config: Config
  readonly users: Users
  readonly materials: Materials
  readonly store: Store
  /** Differs for each start of the gateway; the same in all its workers. */
  readonly secret: Buffer
  /** Methods that are made elsewhere. */
  readonly others: readonly AuthMethod[]
}

export interface Methods {
  readonly byName: ReadonlyMap<string, AuthMethod>
  /** For services that read a name and a password in their own way, whatever rules may name. */
  readonly password: AuthMethod
  /** Methods that the user of a certificate may have to pass in addition. */
  readonly besideCertificate: readonly AuthMethod[]
}

export function buildMethods(options: MethodsOptions): Methods {
  const { config, users, store, secret, others } = options
  const { auth } = config
  const { attempts, window, backoff, max_backoff: maxBackoff } = auth.lockout
  const key = Buffer.from(hkdfSync('sha256', auth.receipt_secret?.reveal() ?? secret, '', 'sallyport lockout', 32))
  const lockout = new Lockout(store, { attempts, window, backoff, maxBackoff, key })
  const { threads, queue, remember } = auth.password
  const checking = { hasher: new Hasher({ threads, queue }), lockout, remember }
  const password = passwordMethod(options, checking)
  const trusted = createPeerSet(auth.external.trusted_ips)
  const made: readonly AuthMethod[] = [
    ...others,
    password,
    totpMethod(options, lockout),
    programMethod(options, checking),
    apiKeyMethod(options),
    createExternalMethod({ header: auth.external.header, trusted, users }),
  ]
  const named = new Map(made.map((method) => [method.name, method]))
  const inUse = auth.methods.flatMap((name) => named.get(name) ?? [])
  const besideCertificate = config.listeners.some(asksPasswords) ? [password] : []
  return { byName: new Map(inUse.map((method) => [method.name, method])), password, besideCertificate }
}

/** Whether any user whom a certificate is mapped to has a password too. */
function asksPasswords({ servers }: Config['listeners'][number]): boolean {
  return servers.some(({ authorization }) => authorization.users.some(({ password }) => password !== undefined))
}

type Checking = Pick<PasswordCheckOptions, 'hasher' | 'lockout' | 'remember'>

function passwordMethod({ config, users, materials }: MethodsOptions, checking: Checking): AuthMethod {
  const { realm } = config.auth
  const entries = passwordEntries(config, users, materials)
  const mapped = mappedEntries(config, materials)
  const besideCertificate = {
    check: new PasswordCheck({ kind: 'mapped', entries: mapped, ...checking }),
    keyOf: (server: VirtualServer, { name }: User) => {
      const key = mappedKey(server.name, name)
      return mapped.has(key) ? key : undefined
    },
  }
  const check = new PasswordCheck({ kind: 'password', entries, ...checking })
  return createPasswordMethod({ check, realm, loginOf: loginsOf(config), besideCertificate })
}

function totpMethod({ config, users, materials, store }: MethodsOptions, lockout: Lockout): AuthMethod {
  const { realm, totp } = config.auth
  return createTotpMethod({
    ...{ realm, users, store, lockout, header: totp.header },
    previousWindows: totp.included_previous_windows,
    secrets: totpSecrets(config, materials),
  })
}

function programMethod({ config, users, materials }: MethodsOptions, checking: Checking): AuthMethod {
  const entries = programEntries(config, users, materials)
  const check = new PasswordCheck({ kind: 'application_credential', entries, ...checking })
  return createApplicationCredentialMethod({ check, realm: config.auth.realm, idOf: programsOf(config) })
}

function apiKeyMethod({ config, users }: MethodsOptions): AuthMethod {
  const { key_names: keyNames, key_in_header: inHeader, key_in_query: inQuery } = config.auth['api-key']
  const keys = eachCredential(config, users, 'keyauth_credentials').map(({ user, given }) => {
    return { user, key: given.key.reveal(), credential: given.id }
  })
  return createApiKeyMethod({ realm: config.auth.realm, keyNames, inHeader, inQuery, keys })
}
