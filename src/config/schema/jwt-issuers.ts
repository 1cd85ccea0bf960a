/** Other issuers whose tokens are accepted, and where they publish their keys. */
import * as z from 'zod'
import type { Problem } from '../../errors.ts'
import { readBounded } from '../bounded-file.ts'
import { findFile, type PemReader, pem } from '../pem.ts'
import { block, field, type Kind, type Located, list, Unfit } from './field.ts'
import { choice, duration, onOff, text } from './scalars.ts'

/** Only signatures with a key pair: whoever can check an HMAC can also make one. */
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'] as const

const jwksUri: Kind<URL> = {
  expected: 'a URL such as https://login.example.com/.well-known/jwks.json',
  json: { type: 'string', pattern: '^https?://|\\$\\{.+\\}' },
  parse(value) {
    if (typeof value !== 'string' || !URL.canParse(value)) throw new Unfit('')
    const url = new URL(value)
    const isLocal = ['127.0.0.1', '[::1]', 'localhost'].includes(url.hostname)
    if (url.protocol === 'https:' || (url.protocol === 'http:' && isLocal)) return url
    throw new Unfit('has no TLS: whoever is in between could put in keys of their own; expected https')
  },
}

const jwtIssuer = block('An issuer of tokens, as an OpenID provider.', {
  issuer: field(text, { required: true, about: 'What the claim iss must be.' }),
  audience: list(text, {
    default: [],
    about: 'One of these must be in the claim aud. Needed: a token for others is none for you.',
  }),
  jwks_uri: field(jwksUri, {
    about: 'Where its keys are published. They are fetched when they are first needed, and kept.',
  }),
  jwks_max_age: field(duration, {
    default: '10m',
    about:
      'For how long keys from jwks_uri are kept, and so for how long at most one still counts that the issuer has withdrawn.',
  }),
  jwks_cooldown: field(duration, {
    default: '30s',
    about:
      'How long after the keys were fetched an unknown one is looked for again at the earliest: clients can make up names of keys.',
  }),
  jwks_trusted_certificate: field(pem, {
    otherwise: "Node's list of public authorities",
    about: 'The authorities that may have issued the certificate of jwks_uri.',
  }),
  jwks_timeout: field(duration, { default: '5s', about: 'How long the answer of jwks_uri may take.' }),
  jwks: field(text, { about: 'In place of jwks_uri: a file with the keys, or their JSON itself.' }),
  algorithms: list(choice(...ALGORITHMS), {
    default: ['RS256', 'PS256', 'ES256', 'EdDSA'],
    about: 'The signatures that count.',
  }),
  user_claim: field(text, { default: 'sub', about: "The claim that holds the user's name or id." }),
  groups_claim: field(text, { about: 'The claim with the groups of users whom the configuration does not know.' }),
  ephemeral_users: field(onOff, { default: 'off', about: 'Whether users count whom the configuration does not know.' }),
  clock_tolerance: field(duration, { default: '5s', about: 'By how much clocks may differ.' }),
})

export const jwtIssuers = z.array(jwtIssuer).prefault([]).describe('Others whose tokens the method token accepts.')

export type WrittenJwtIssuer = z.output<typeof jwtIssuer> & Located

export interface JwtIssuerConfig extends Omit<WrittenJwtIssuer, 'jwks' | 'jwks_uri'> {
  readonly keys:
    | { readonly uri: URL; readonly timeout: number; readonly cooldown: number; readonly maxAge: number }
    | { readonly set: { readonly keys: Record<string, unknown>[] } }
}

export function checkJwtIssuer({ at, audience, jwks, jwks_uri }: WrittenJwtIssuer): Problem[] {
  const problems: Problem[] = []
  if (audience.length === 0)
    problems.push({ path: `${at}.audience`, message: 'is empty; write what the tokens for you have in aud' })
  if ((jwks === undefined) === (jwks_uri === undefined))
    problems.push({ path: at, message: 'must set one of jwks_uri and jwks' })
  return problems
}

/** @throws Unfit where the keys cannot be used */
export function keysOf(
  { jwks, jwks_uri: uri, jwks_timeout: timeout, jwks_cooldown: cooldown, jwks_max_age: maxAge }: WrittenJwtIssuer,
  pems: PemReader,
): JwtIssuerConfig['keys'] {
  if (uri) return { uri, timeout, cooldown, maxAge }
  const written = jwks ?? ''
  const file = written.trimStart().startsWith('{') ? undefined : findFile(written, pems)
  if (file === undefined && !written.trimStart().startsWith('{'))
    throw new Unfit('names no readable file and is no JSON')
  const set = parsed(file === undefined ? written : readBounded(file).toString('utf8'))
  if (set.keys.some((key) => 'd' in key || key.kty === 'oct'))
    throw new Unfit('holds private keys; write the public ones only')
  return { set }
}

function parsed(json: string): { keys: Record<string, unknown>[] } {
  try {
    const value: unknown = JSON.parse(json)
    const keys = typeof value === 'object' && value !== null && 'keys' in value ? value.keys : undefined
    const areKeys =
      Array.isArray(keys) && keys.length > 0 && keys.every((key) => typeof key === 'object' && key !== null)
    if (areKeys) return { keys }
  } catch {
    // Reported below.
  }
  throw new Unfit('holds no JSON Web Key Set, which is {"keys": [{"kty": …}]}')
}
