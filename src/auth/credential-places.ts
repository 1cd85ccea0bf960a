import type { AuthMethod, CredentialPlaces } from '../types.ts'
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
