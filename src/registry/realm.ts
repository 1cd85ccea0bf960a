/** One of Keycloak's realms, as registries use it: who may log in where, and what they get. */
import type { AuthMethod, Caller, Identity, User, Users } from '../types.ts'
import type { RefreshTokens } from './refresh-tokens.ts'
import type { Rights } from './rights.ts'
import type { Robots } from './robots.ts'
import type { TokenSigner } from './token-signer.ts'

export interface Realm {
  readonly name: string
  /** The registries that may ask for tokens of this realm: Keycloak's clients. */
  readonly services: ReadonlySet<string>
  readonly signer: TokenSigner
  readonly rights: Rights
  /** The client's address, also behind proxies of ours: rights by address use it. */
  addressOf(caller: Caller): string
  readonly robots: Robots
  readonly users: Users
  /** Checks a name and a password; undefined where nobody has one. */
  readonly password: AuthMethod | undefined
  /** Whether these methods are enough for a user who is set up to need several. */
  isEnough(identity: Identity): boolean
  readonly refreshTokens: RefreshTokens
  /** Digests of all passwords and secrets that a user or a robot has now. */
  secretsOf(user: User): readonly string[]
  /** Digests of those that were just shown. */
  secretsShown(identity: Identity): readonly string[]
  /** Milliseconds. */
  readonly tokenLifetime: number
  /** How many resources one token may be asked for. */
  readonly maxScopes: number
  /** Encrypts the places where pages of filtered lists begin; the same in all gateways that have the realm's key. */
  readonly pageKey: Buffer
  /** Whether the password is ignored where a certificate has identified the user already: `docker login` insists on sending one. */
  readonly certificateReplacesPassword: boolean
}
