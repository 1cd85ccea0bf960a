/** Where the gateway remembers what must not be forgotten before its time: revoked tokens, used codes, failed attempts. */
import type * as z from 'zod'
import { pem } from '../pem.ts'
import { Secret } from '../secret.ts'
import { block, field, type Kind, Unfit } from './field.ts'
import { choice, integer, matching, positiveDuration } from './scalars.ts'

const redisUrl: Kind<Secret> = {
  expected: 'a URL such as redis://user:password@host:6379/0 or rediss://host',
  json: { type: 'string', pattern: '^rediss?://|\\$\\{.+\\}' },
  parse(value) {
    if (typeof value !== 'string' || !URL.canParse(value)) throw new Unfit('')
    const { protocol, hostname, pathname, search, hash } = new URL(value)
    if ((protocol !== 'redis:' && protocol !== 'rediss:') || hostname === '') throw new Unfit('')
    if (!/^\/?\d{0,4}$/.test(pathname)) throw new Unfit('has a path; expected at most the number of a database')
    if (search !== '' || hash !== '') throw new Unfit('holds a query or a fragment; expected a URL without them')
    return new Secret(value)
  },
}

export const store = block(
  'Where revoked tokens, used codes and failed attempts are remembered: in memory, or in a Redis that several gateways share.',
  {
    redis_url: field(redisUrl, {
      env: 'SALLYPORT_STORE_REDIS_URL',
      secret: true,
      otherwise: "the gateway's own memory, which a restart forgets",
      about: 'The Redis that several gateways share; rediss:// speaks TLS. Give it a user or a password.',
    }),
    redis_trusted_certificate: field(pem, {
      env: 'SALLYPORT_STORE_REDIS_TRUSTED_CERTIFICATE',
      otherwise: "Node's list of public authorities",
      about: "The authorities that may have issued Redis's certificate.",
    }),
    key_prefix: field(matching(/^[\w:.-]{0,64}$/, 'at most 64 letters, digits, and any of _ : . -'), {
      default: 'sallyport:',
      env: 'SALLYPORT_STORE_KEY_PREFIX',
      about: 'What every key in Redis begins with; gateways with the same prefix share what they know.',
    }),
    fail: field(choice('closed', 'open'), {
      default: 'closed',
      env: 'SALLYPORT_STORE_FAIL',
      about:
        'What holds while Redis cannot be asked. closed: whatever needs it is answered with 503. open: only what this gateway itself has written or ' +
        'seen counts, so that a token which another gateway revoked in the meantime still passes.',
    }),
    timeout: field(positiveDuration, {
      default: '1s',
      env: 'SALLYPORT_STORE_TIMEOUT',
      about: 'How long an answer of Redis may take.',
    }),
    max_entries: field(integer(1, 10_000_000), {
      default: 100_000,
      env: 'SALLYPORT_STORE_MAX_ENTRIES',
      about:
        'How many entries of each kind are kept in memory. When it is full, new ones are refused with 503: forgetting a revocation would let the token pass.',
    }),
  },
)

export type StoreConfig = z.output<typeof store>
