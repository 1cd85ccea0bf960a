/** What the value of one identity header is made from. */
import type { Connection, Identity } from '../types.ts'
import { type IdentityField, identityValue } from './fields.ts'

export interface CallerFacts {
  readonly connection: Connection
  readonly identity: Identity | undefined
  /** The URIs of the certificate that we showed the client, for XFCC's `By`. */
  readonly ownUris: readonly string[]
}

/** Makes one header's value; undefined where there is none, and then the header is left out. */
export type HeaderValue = (facts: CallerFacts) => string | undefined

export function valueOfField(field: IdentityField): HeaderValue {
  return ({ connection, identity }) => identityValue(field, connection, identity)
}
