import { hash } from 'node:crypto'
import { headerValues } from '../../http-fields/header-values.ts'
import type { AuthMethod, Caller, Outcome, User } from '../../types.ts'
import { valuesOf } from '../query-keys.ts'

export interface ApiKeyOptions {
  readonly realm: string
  /** Kong's `key_names`: of headers and of query parameters. */
  readonly keyNames: readonly string[]
  readonly inHeader: boolean
  readonly inQuery: boolean
  readonly keys: readonly { readonly user: User; readonly key: string; readonly credential: string | undefined }[]
}

/** `sha256:` and the digest, in place of a key, in the configuration. */
const DIGEST = /^sha256:([0-9a-f]{64})$/

/** Kong's key-auth: one key identifies the user. Keys are looked up by their digest, so that no comparison shows how much of a guess was right. */
export function createApiKeyMethod({ realm, keyNames, inHeader, inQuery, keys }: ApiKeyOptions): AuthMethod {
  const outcomes = new Map(
    keys.map(({ user, key, credential }) => {
      const proof = DIGEST.exec(key)?.[1] ?? digest(key)
      return [proof, Object.freeze({ status: 'accepted', user, credential, proof } as const)]
    }),
  )
  const headers = inHeader ? keyNames.map((name) => name.toLowerCase()) : []
  const parameters = inQuery ? keyNames : []
  return {
    name: 'api-key',
    challenge: `Key realm="${realm}"`,
    credential: { isHeader: (name) => headers.includes(name), queryKeys: new Set(parameters) },
    ownerOf: (proof) => outcomes.get(proof)?.user,
    authenticate({ request, destination }: Caller): Outcome {
      const given = [
        ...headers.flatMap((name) => headerValues(request.rawHeaders, name)),
        ...parameters.flatMap((name) => valuesOf(destination.query, name)),
      ]
      if (given.length > 1) return { status: 'denied', reason: 'more than one API key' }
      const key = given[0]
      if (!key) return { status: 'absent' }
      return outcomes.get(digest(key)) ?? { status: 'denied', reason: 'nobody has this API key' }
    },
  }
}

function digest(key: string): string {
  return hash('sha256', key, 'hex')
}
