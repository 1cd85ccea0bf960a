import type { Connection } from './types.ts'

const NOTES = Symbol('notes')

type Noted = { readonly [NOTES]?: unknown[] }

/** Of so many kinds a connection has a note at the same time; with one more, the oldest goes. Each configuration brings kinds of its own. */
const MOST = 8

/** The facts of a connection as a value that does not change, and for which notes are kept. What was noted for the value before it does not hold for it. */
export function connectionOf(facts: Connection): Connection {
  // Not enumerable: a copy with other facts must not come with these notes.
  return Object.freeze(Object.defineProperty({ ...facts }, NOTES, { value: [] }))
}

/**
 * What was made from the facts of a connection, for its next request. As a WeakMap, but kept by the connection itself: of each entry in a WeakMap V8
 * finds out in the pause at the end of a full collection whether it is in use, 5 – 27 ms for the 60,000 that 10,000 connections had
 * (docs/performance.md). A note must be small, and hold nothing of a configuration that may have been replaced.
 */
export class ConnectionNotes<T> {
  get(connection: Connection): T | undefined {
    const notes = (connection as Noted)[NOTES]
    if (notes === undefined) return undefined
    for (let i = 0; i < notes.length; i += 2) if (notes[i] === this) return notes[i + 1] as T
    return undefined
  }

  set(connection: Connection, note: T): void {
    const notes = (connection as Noted)[NOTES]
    if (notes === undefined) return
    const at = notes.indexOf(this)
    if (at >= 0) notes[at + 1] = note
    else {
      if (notes.length === 2 * MOST) notes.splice(0, 2)
      notes.push(this, note)
    }
  }
}
