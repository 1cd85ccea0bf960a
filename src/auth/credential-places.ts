import type { AuthMethod, Caller, CredentialPlaces } from '../types.ts'
import { valuesOf } from './query-keys.ts'
import { RECEIPT_HEADER } from './receipts.ts'

/** Where the credentials of all these methods are, receipts included. */
export function placesOf(methods: readonly AuthMethod[]): CredentialPlaces {
  const places = methods.flatMap(({ credential }) => credential ?? [])
  const queryKeys = new Set(places.flatMap((place) => [...(place.queryKeys ?? [])]))
  const receipt = RECEIPT_HEADER.toLowerCase()
  return {
    isHeader: (name, value) => name === receipt || places.some((place) => place.isHeader?.(name, value)),
    ...(queryKeys.size > 0 && { queryKeys }),
  }
}

/** Whether the request carries a credential for this method, right or wrong. */
export function showsCredential({ request, destination }: Caller, { credential }: AuthMethod): boolean {
  if (!credential) return false
  const { isHeader, queryKeys = new Set() } = credential
  const { rawHeaders } = request
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    if (isHeader?.((rawHeaders[i] as string).toLowerCase(), rawHeaders[i + 1] as string)) return true
  }
  return [...queryKeys].some((key) => valuesOf(destination.query, key).length > 0)
}
