/** Revocation lists from where certificates say that they are. */
import type * as z from 'zod'
import { block, field } from './field.ts'
import { integer, positiveDuration, size } from './scalars.ts'

export const crlFetch = block(
  'How revocation lists are fetched for servers with ssl_crl_fetch: from the http: addresses that a verified certificate names, of which the next (up to the fourth) is asked where one has no list.',
  {
    timeout: field(positiveDuration, {
      default: '5s',
      env: 'SALLYPORT_CRL_FETCH_TIMEOUT',
      about: 'How long it may take to fetch a list. The handshake that needs it first waits so long.',
    }),
    max_size: field(size(1024, 512 * 1024 * 1024), {
      default: '32m',
      env: 'SALLYPORT_CRL_FETCH_MAX_SIZE',
      about: 'The size of a list in bytes, as it is sent.',
    }),
    max_lists: field(integer(1, 10_000), {
      default: 100,
      env: 'SALLYPORT_CRL_FETCH_MAX_LISTS',
      about: 'How many addresses are remembered; beyond that, the one that was of no use for longest is forgotten.',
    }),
    interval: field(positiveDuration, {
      default: '1h',
      env: 'SALLYPORT_CRL_FETCH_INTERVAL',
      about: 'A list that is in use is fetched again so often, and in any case a minute before its next update.',
    }),
  },
)

export type CrlFetchConfig = z.output<typeof crlFetch>
