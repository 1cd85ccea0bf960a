/** Refresh tokens, which `docker login` keeps in place of the password. They are random, and valid as long as the store knows them. */
import { createHash, randomBytes } from 'node:crypto'
import type { Store } from '../types.ts'

/** The user of a refresh token. */
export interface Grant {
  readonly user: string
  readonly service: string
  /** How the user logged in. */
  readonly methods: readonly string[]
  /** Digests of the passwords and secrets that it was issued for: it is void once one of them changes. */
  readonly secrets?: readonly string[]
  /** Milliseconds since the epoch. */
  readonly issuedAt: number
}

export interface RefreshTokens {
  /** Undefined for a user who has too many already. */
  issue(grant: Grant): Promise<string | undefined>
  /** Undefined for a token that was never issued, has expired or was revoked. */
  find(token: string): Promise<Grant | undefined>
  revoke(token: string): Promise<void>
}

export interface RefreshTokenOptions {
  readonly store: Store
  readonly realm: string
  /** Milliseconds. */
  readonly lifetime: number
  /** How many a user gets within the lifetime of one. */
  readonly mostOfUser: number
  /** Milliseconds since the epoch: what was issued before is no good any more (Keycloak's `notBefore`). */
  readonly notBefore: number
}

export function createRefreshTokens(options: RefreshTokenOptions): RefreshTokens {
  const { store, realm, lifetime, mostOfUser, notBefore } = options
  // Only the hash is stored: whoever reads the store cannot log in with it.
  const keyOf = (token: string) => `registry-refresh:${realm}:${createHash('sha256').update(token).digest('base64url')}`
  return {
    async issue(grant) {
      // The store's room is shared by all users.
      const count = await store.increment(`registry-refreshes:${realm}:${grant.user}`, lifetime)
      if (count > mostOfUser) return undefined
      const token = randomBytes(32).toString('base64url')
      await store.set(keyOf(token), JSON.stringify(grant), lifetime)
      return token
    },
    async find(token) {
      const text = await store.get(keyOf(token))
      if (text === undefined) return undefined
      const grant = JSON.parse(text) as Grant
      return grant.issuedAt >= notBefore ? grant : undefined
    },
    async revoke(token) {
      await store.delete(keyOf(token))
    },
  }
}
