/** When requests on connections that were used before are written. */

interface Writer {
  write(): void
}

let waiting: Writer[] = []

/**
 * One wait for all requests of one turn of the event loop. The first immediate comes at the end of this turn, which may have
 * asked for events before the bytes arrived; the second after the next turn has asked again.
 */
export function writeAfterPoll(connection: Writer): void {
  if (waiting.push(connection) === 1) setImmediate(setImmediate, writeWaiting)
}

function writeWaiting(): void {
  const ready = waiting
  waiting = []
  for (const connection of ready) connection.write()
}
