import { createHmac, hash as digestOf, randomBytes } from 'node:crypto'
import type { Outcome, User } from '../../types.ts'
import type { Lockout } from '../lockout.ts'
import { decoyOf } from './hash.ts'
import type { Hasher } from './hasher.ts'

/** A name and the hash of its password. */
export interface PasswordEntry {
  readonly user: User
  readonly hash: string
  /** For X-Credential-Identifier. */
  readonly credential: string | undefined
  /** When it ends, in milliseconds since the epoch. */
  readonly expiresAt?: number | undefined
  /** What else the secret says besides its user. */
  readonly attributes?: Readonly<Record<string, string>> | undefined
}

export interface PasswordCheckOptions {
  /** Separates the attempts at one kind of secret from those at others. */
  readonly kind: string
  readonly entries: ReadonlyMap<string, PasswordEntry>
  readonly hasher: Hasher
  readonly lockout: Lockout
  /** For how many milliseconds a correct password need not be hashed again; 0 for none. */
  readonly remember: number
}

/** bcrypt uses 72 bytes. Nobody types more than this, and hashing more takes time. */
const LONGEST_PASSWORD = 1024
const MOST_REMEMBERED = 10_000

interface Remembered {
  readonly outcome: Outcome
  readonly until: number
}

/** Whether a name and a secret belong together. Costs the same whether the name is there or not. */
export class PasswordCheck {
  readonly #options: PasswordCheckOptions
  readonly #decoys: readonly string[]
  /** By a keyed digest of name, password and hash: no password can be read from it, nor guessed without the process's memory. */
  readonly #remembered = new Map<string, Remembered>()
  readonly #secret = randomBytes(32)

  constructor(options: PasswordCheckOptions) {
    this.#options = options
    const hashes = [...options.entries.values()].map(({ hash }) => hash)
    this.#decoys = (hashes.length > 0 ? hashes : [UNUSED]).map(decoyOf)
  }

  /** Whether somebody logs in by this name. Never tell a client. */
  knows(name: string): boolean {
    return this.#options.entries.has(name)
  }

  /** The user of this proof, as long as his password hash is the same. */
  ownerOf(proof: string): User | undefined {
    const name = proof.slice(0, proof.indexOf('\0'))
    const entry = this.#options.entries.get(name)
    if (!entry || proofOf(name, entry.hash) !== proof || (entry.expiresAt ?? Number.POSITIVE_INFINITY) <= Date.now())
      return undefined
    return entry.user
  }

  /** A plain value where the same password was correct a moment ago. */
  check(name: string, password: string): Outcome | Promise<Outcome> {
    const entry = this.#options.entries.get(name)
    const key = entry && this.#options.remember > 0 ? this.#digest(`${entry.hash}\0${name}\0${password}`) : undefined
    const known = key === undefined ? undefined : this.#recall(key)
    if (known) return known
    if (Buffer.byteLength(password) > LONGEST_PASSWORD) return denied('the password is too long')
    return this.#options.hasher.withSlot(() => this.#verify(name, password, entry, key))
  }

  async #verify(
    name: string,
    password: string,
    entry: PasswordEntry | undefined,
    key: string | undefined,
  ): Promise<Outcome> {
    const { kind, hasher, lockout } = this.#options
    const subject = `${kind}:${entry ? (entry.credential ?? entry.user.id) : lockout.stranger(name)}`
    const wait = await lockout.begin(subject)
    if (wait !== undefined) return denied(`too many attempts for ${quoted(name)}`, ['Retry-After', `${wait}`])
    const matched = await hasher.matches(password, entry?.hash ?? this.#decoyFor(name))
    if (!entry) return denied(`nobody is named ${quoted(name)}`)
    if (!matched) return denied(`wrong password for ${quoted(name)}`)
    await lockout.succeeded(subject)
    const { user, credential, expiresAt, attributes, hash } = entry
    const outcome: Outcome = Object.freeze({
      status: 'accepted',
      user,
      credential,
      expiresAt,
      attributes,
      proof: proofOf(name, hash),
    })
    if (key !== undefined) this.#keep(key, outcome)
    return outcome
  }

  /** Always the same for one name, as the hash of a real user would be. */
  #decoyFor(name: string): string {
    const index = createHmac('sha256', this.#secret).update(name).digest().readUInt32BE() % this.#decoys.length
    return this.#decoys[index] as string
  }

  #digest(text: string): string {
    return createHmac('sha256', this.#secret).update(text).digest('base64')
  }

  #recall(key: string): Outcome | undefined {
    const found = this.#remembered.get(key)
    if (!found) return undefined
    if (found.until > Date.now()) return found.outcome
    this.#remembered.delete(key)
    return undefined
  }

  #keep(key: string, outcome: Outcome): void {
    if (this.#remembered.size >= MOST_REMEMBERED) this.#remembered.clear()
    this.#remembered.set(key, { outcome, until: Date.now() + this.#options.remember })
  }
}

/** Checked for unknown users where nobody has a password. */
const UNUSED = `$argon2id$v=19$m=19456,t=2,p=1$${'A'.repeat(22)}$${'A'.repeat(43)}`

/** No name holds a NUL. The hash itself does not leave this place: it could be used to guess the password. */
export function proofOf(name: string, hash: string): string {
  return `${name}\0${digestOf('sha256', hash, 'base64')}`
}

function denied(reason: string, headers?: readonly string[]): Outcome {
  return headers ? { status: 'denied', reason, headers } : { status: 'denied', reason }
}

/** Clients choose the names, so their length is bounded in the log. */
function quoted(name: string): string {
  return JSON.stringify(name.length > 64 ? `${name.slice(0, 64)}…` : name)
}
