import type { Connection } from './types.ts'

/**
 * Its notes are private, so that a copy with other facts does not come with them. Each field is set by its name: with Object.assign or a property that is
 * not enumerable it takes three times as long.
 */
class NotedConnection implements Required<Connection> {
  readonly id: string
  readonly policy: string
  readonly serverName: string | undefined
  readonly remoteAddress: string
  readonly remotePort: number
  readonly localPort: number
  readonly protocol: string
  readonly cipher: string
  readonly resumed: boolean
  readonly verification: Connection['verification']
  readonly certificate: Connection['certificate']
  readonly chain: Connection['chain']
  readonly expiresAt: number
  readonly #notes: unknown[] = []

  constructor(facts: Connection) {
    this.id = facts.id
    this.policy = facts.policy
    this.serverName = facts.serverName
    this.remoteAddress = facts.remoteAddress
    this.remotePort = facts.remotePort
    this.localPort = facts.localPort
    this.protocol = facts.protocol
    this.cipher = facts.cipher
    this.resumed = facts.resumed
    this.verification = facts.verification
    this.certificate = facts.certificate
    this.chain = facts.chain
    this.expiresAt = facts.expiresAt
    Object.freeze(this)
  }

  /** Undefined for a copy that somebody made by hand. */
  static notesOf(connection: Connection): unknown[] | undefined {
    return #notes in connection ? connection.#notes : undefined
  }
}

/** The facts of a connection as a value that does not change, and for which notes are kept. What was noted for the value before it does not hold for it. */
export function connectionOf(facts: Connection): Connection {
  return new NotedConnection(facts)
}

/**
 * What was made from the facts of a connection, for its next request. As a WeakMap, but kept by the connection itself: of each entry in a WeakMap V8
 * finds out in the pause at the end of a full collection whether it is in use, 5 – 27 ms for the 60,000 that 10,000 connections had
 * (docs/performance-log.md). A kind of notes is made once for the program and not by each configuration: a connection that is idle holds them for as long as
 * it lives. So a note must be small too, and hold nothing of a configuration that may have been replaced.
 */
export class ConnectionNotes<T> {
  get(connection: Connection): T | undefined {
    const notes = NotedConnection.notesOf(connection)
    if (notes === undefined) return undefined
    for (let i = 0; i < notes.length; i += 2) if (notes[i] === this) return notes[i + 1] as T
    return undefined
  }

  set(connection: Connection, note: T): void {
    const notes = NotedConnection.notesOf(connection)
    if (notes === undefined) return
    const at = notes.indexOf(this)
    if (at >= 0) notes[at + 1] = note
    else notes.push(this, note)
  }
}
