/** Delays requests on connections that were used before. */

interface Writer {
  write(): void
}

let waiting: Writer[] = []

/**
 * Waits once for all requests of one turn of the event loop. The first immediate runs at the end of this turn, which may have polled for events
 * before the bytes arrived; the second runs after the next turn has polled again.
 */
export function writeAfterPoll(connection: Writer): void {
  if (waiting.push(connection) === 1) setImmediate(setImmediate, writeWaiting)
}

function writeWaiting(): void {
  const ready = waiting
  waiting = []
  for (const connection of ready) connection.write()
}
