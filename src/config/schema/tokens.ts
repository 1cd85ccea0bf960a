/** The tokens that the gateway issues. */
import type * as z from 'zod'
import type { Problem } from '../../errors.ts'
import { pem } from '../pem.ts'
import { Secret } from '../secret.ts'
import { block, field, type Kind, list, Unfit } from './field.ts'
import { duration, integer, positiveDuration, text } from './scalars.ts'

const LEAST_SECRET = 32

const tokenSecret: Kind<Secret> = {
  expected: `at least ${LEAST_SECRET} characters that nobody can guess, as openssl rand -base64 48 prints them`,
  json: { type: 'string', minLength: LEAST_SECRET },
  parse(value) {
    if (typeof value === 'string' && value.length >= LEAST_SECRET) return new Secret(value)
    throw new Unfit('')
  },
}

export const tokens = block('The tokens that the gateway issues: who signs them, and how long they last.', {
  issuer: field(text, {
    default: 'sallyport',
    env: 'SALLYPORT_TOKENS_ISSUER',
    about: 'The iss of the tokens. Gateways that shall accept the tokens of each other have the same.',
  }),
  secret: field(tokenSecret, {
    env: 'SALLYPORT_TOKENS_SECRET',
    secret: true,
    otherwise: 'random at each start, so that a restart ends all tokens',
    about:
      'What the signing keys (ES256) are derived from. Gateways with the same secret accept the tokens of each other. Used where there is no signing_keys.',
  }),
  signing_keys: list(pem, {
    env: 'SALLYPORT_TOKENS_SIGNING_KEYS',
    secret: true,
    otherwise: 'keys derived from secret, a new one after each rotation',
    about:
      'Private keys (EC, Ed25519 or RSA): the first signs, all of them verify. Put a new one in front to change it.',
  }),
  rotation: field(positiveDuration, {
    default: '24h',
    env: 'SALLYPORT_TOKENS_ROTATION',
    about: 'How long a derived key signs. It verifies until the last token has expired.',
  }),
  expiration: field(positiveDuration, {
    default: '1h',
    env: 'SALLYPORT_TOKENS_EXPIRATION',
    about: "How long a token lasts, as Keystone's [token] expiration. Never longer than what proved who it is.",
  }),
  allow_expired_window: field(duration, {
    default: '48h',
    env: 'SALLYPORT_TOKENS_ALLOW_EXPIRED_WINDOW',
    about:
      'For how long services may still look at a token that is over (?allow_expired=1), for work that outlasts it.',
  }),
  cache_entries: field(integer(0, 1_000_000), {
    default: 10_000,
    env: 'SALLYPORT_TOKENS_CACHE_ENTRIES',
    about: 'How many verified tokens are remembered by their hash, so that a signature is checked only once.',
  }),
})

export type TokensConfig = z.output<typeof tokens>

export function checkTokens({ rotation, expiration, signing_keys: keys }: TokensConfig): Problem[] {
  if (keys !== undefined && keys.length === 0)
    return [{ path: 'tokens.signing_keys', message: 'is empty; write at least one key, or remove the setting' }]
  // Otherwise many keys would be valid at once.
  if (keys === undefined && rotation < expiration)
    return [{ path: 'tokens.rotation', message: 'is shorter than tokens.expiration; expected at least as long' }]
  return []
}
