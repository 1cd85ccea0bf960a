/** What may end an open connection although its client is still connected. No code. */
import type { HttpRequest } from '../http-messages.ts'
import type { Connection } from '../types.ts'

/** An open connection, and the request that it serves just then. */
export interface Carried {
  readonly socket: object
  readonly request: HttpRequest | undefined
}

/** Why what a connection carries must end; undefined where it may go on. Throws or rejects where that cannot be decided. */
export type Objection = (connection: Connection, carried: Carried) => string | undefined | Promise<string | undefined>

/** Called when a connection is ended because its client may no longer use it. */
export type Ended = (connection: Connection, reason: string) => void
