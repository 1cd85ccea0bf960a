import { createPrivateKey } from 'node:crypto'
import type { PemSource, TokensConfig } from '../config/index.ts'
import { Revocations } from '../tokens/revocations.ts'
import { derivedKeys, givenKeys, type SigningKey, type SigningKeys, signingKey } from '../tokens/signing-keys.ts'
import { Tokens } from '../tokens/tokens.ts'
import type { Store } from '../types.ts'
import type { Materials } from './materials.ts'

export interface TokenParts {
  readonly keys: SigningKeys
  readonly tokens: Tokens
}

/**
 * Builds what issues and checks tokens. Undefined where a key cannot be used; `materials` has the problems then.
 * @param startSecret the keys are derived from it where the configuration gives no keys
 */
export function createTokens(
  config: TokensConfig,
  store: Store,
  startSecret: Buffer,
  materials: Materials,
): TokenParts | undefined {
  const keys = config.signing_keys ? keysFrom(config.signing_keys, materials) : derived(config, startSecret)
  if (!keys) return undefined
  const { issuer, cache_entries: cacheEntries, allow_expired_window: expiredWindow } = config
  return {
    keys,
    tokens: new Tokens({ keys, issuer, revocations: new Revocations(store), cacheEntries, expiredWindow }),
  }
}

function derived(config: TokensConfig, startSecret: Buffer): SigningKeys {
  const { secret, rotation, expiration, allow_expired_window: expiredWindow } = config
  const lifetime = expiration + expiredWindow
  return derivedKeys({ secret: secret ? Buffer.from(secret.reveal()) : startSecret, rotation, lifetime })
}

function keysFrom(sources: readonly PemSource[], materials: Materials): SigningKeys | undefined {
  const read = sources.flatMap((source) => {
    try {
      return signingKey(createPrivateKey(source.read()))
    } catch (error) {
      materials.problem(source.setting, reasonOf(error))
      return []
    }
  })
  const [first, ...more] = read
  return first && read.length === sources.length
    ? givenKeys([first, ...more] as [SigningKey, ...SigningKey[]])
    : undefined
}

/** OpenSSL's messages are of no help to people; ours have no code. */
function reasonOf(error: unknown): string {
  const isOurs = error instanceof Error && !('code' in error)
  return isOurs ? error.message : 'holds no private key that can be read; expected PKCS#8 PEM without a passphrase'
}
