/** The tokens that a gate sends to its registry; each is used again until it nears its end. */
import type { Resource } from './scope.ts'
import { scopeText } from './scope.ts'
import type { TokenSigner } from './token-signer.ts'

/** How many are kept. Beyond that the oldest are dropped, and signed again where they are needed. */
const MOST_TOKENS = 10_000
/** After this part of its life a token is replaced, so that none expires on its way. */
const RENEWED_AFTER = 0.75

export interface GateTokens {
  /** The value of Authorization. */
  authorization(subject: string, access: readonly Resource[], now: number): string
}

export function createGateTokens(signer: TokenSigner, service: string, lifetime: number): GateTokens {
  const known = new Map<string, { readonly value: string; readonly until: number }>()
  return {
    authorization(subject, access, now) {
      const key = JSON.stringify([subject, ...access.map(scopeText)])
      const found = known.get(key)
      if (found && found.until > now) return found.value
      const issuedAt = Math.floor(now / 1000)
      const expiresAt = Math.floor((now + lifetime) / 1000)
      const value = `Bearer ${signer.sign({ subject, audience: service, access, issuedAt, expiresAt })}`
      known.delete(key)
      if (known.size >= MOST_TOKENS) known.delete(known.keys().next().value as string)
      known.set(key, { value, until: now + lifetime * RENEWED_AFTER })
      return value
    },
  }
}
