/** One of Keycloak's realms, as far as registries know it: who may log in where, and what they get. */
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
  /** The client's, also behind proxies of ours: the address by which rights go. */
  addressOf(caller: Caller): string
  readonly robots: Robots
  readonly users: Users
  /** Checks a name and a password; undefined where nobody has one. */
  readonly password: AuthMethod | undefined
  /** Whether a user may log in by these methods alone, where he is set up to need several. */
  isEnough(identity: Identity): boolean
  readonly refreshTokens: RefreshTokens
  /** Digests of the passwords and secrets that a user or a robot has now. */
  secretsOf(user: User): readonly string[]
  /** Those of them that somebody has just shown. */
  secretsShown(identity: Identity): readonly string[]
  /** Milliseconds. */
  readonly tokenLifetime: number
  /** How many resources one token may be asked for. */
  readonly maxScopes: number
  /** Encrypts where the pages of filtered lists begin; the same in all gateways that have the realm's key. */
  readonly pageKey: Buffer
  /** Whether the password of a user whose certificate has said so already is not looked at: `docker login` insists on one. */
  readonly certificateReplacesPassword: boolean
}
