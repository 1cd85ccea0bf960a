/** The keys that another issuer publishes at a URL. However many tokens clients send, the issuer is asked only from time to time. */
import {
  createRemoteJWKSet,
  customFetch,
  type FetchImplementation,
  type JWKSCacheInput,
  type JWTVerifyGetKey,
  jwksCache,
} from 'jose'
import { boundedRequest, type Question } from '../bounded-request.ts'

export interface RemoteKeysOptions {
  readonly uri: URL
  /** The authorities that may have issued its certificate; undefined trusts the public ones. */
  readonly ca: readonly string[] | undefined
  /** Milliseconds that an answer may take. */
  readonly timeout: number
  /** Milliseconds before an unknown key is looked for again: clients can invent key ids. */
  readonly cooldown: number
  /** Milliseconds after which the keys are fetched again. A key that the issuer has withdrawn is accepted for up to this long. */
  readonly maxAge: number
}

export interface IssuerKeys {
  readonly getKey: JWTVerifyGetKey
  /** Until when a signature is valid that was checked with the current keys, in milliseconds since the epoch. */
  goodUntil(): number
}

/** Bytes; issuers with hundreds of keys have less. */
const LARGEST = 1024 * 1024
/** How long an issuer that gave no usable answer is not asked again, in milliseconds, at most. */
const PAUSE = 5000

/**
 * All keys that were fetched, by the settings they were fetched with. A reload that leaves those unchanged keeps the keys, and the time when the
 * issuer was last asked.
 */
export class RemoteKeys {
  readonly #keys = new Map<string, IssuerKeys>()

  /** The keys for exactly these settings; `used` collects what {@link forgetAllBut} keeps. */
  get(options: RemoteKeysOptions, used: Set<string>): IssuerKeys {
    const { uri, ca, timeout, cooldown, maxAge } = options
    const key = JSON.stringify([uri.href, ca ?? 'public', timeout, cooldown, maxAge])
    used.add(key)
    const known = this.#keys.get(key)
    if (known) return known
    const made = createRemoteKeys(options)
    this.#keys.set(key, made)
    return made
  }

  forgetAllBut(used: ReadonlySet<string>): void {
    for (const key of this.#keys.keys()) if (!used.has(key)) this.#keys.delete(key)
  }
}

function createRemoteKeys({ uri, ca, timeout, cooldown, maxAge }: RemoteKeysOptions): IssuerKeys {
  const cache: JWKSCacheInput = {}
  let failure: { readonly error: unknown; readonly until: number } | undefined
  const fetchOnce: FetchImplementation = async (_url, { headers }) => {
    if (failure && performance.now() < failure.until) throw failure.error
    failure = undefined
    try {
      const question = { url: uri, headers: Object.fromEntries(headers), ...(ca && { ca: [...ca] }) }
      return new Response(await bytesFrom(question, timeout))
    } catch (error) {
      failure = { error, until: performance.now() + Math.min(PAUSE, cooldown) }
      throw error
    }
  }
  const getKey = createRemoteJWKSet(uri, {
    ...{ cooldownDuration: cooldown, cacheMaxAge: maxAge },
    ...{ [customFetch]: fetchOnce, [jwksCache]: cache },
  })
  return { getKey, goodUntil: () => (cache.uat ?? 0) + maxAge }
}

/** @throws Error that says why there are no keys */
async function bytesFrom(question: Question & { readonly url: URL }, timeout: number): Promise<ArrayBuffer> {
  const { url } = question
  const { status, body } = await boundedRequest(question, undefined, { timeout, most: LARGEST })
  if (status !== 200) throw new Error(`${url.origin} answered ${status} instead of its keys`)
  if (!isKeySet(body.toString('utf8'))) throw new Error(`${url.origin} answered with what is no JSON Web Key Set`)
  return Uint8Array.from(body).buffer
}

function isKeySet(text: string): boolean {
  try {
    const { keys } = (JSON.parse(text) ?? {}) as { readonly keys?: unknown }
    return Array.isArray(keys) && keys.every((key) => typeof key === 'object' && key !== null)
  } catch {
    return false
  }
}
