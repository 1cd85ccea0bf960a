import type { Socket } from 'node:net'

/** How many requests are passed on at a time. */
const AT_ONCE = 32
/** Each request has at least one. */
const HEAD_END = Buffer.from('\r\n\r\n')

/** A socket that node:http serves. It sets `_paused` where answers wait for the client, and then fails where its parser gets anything. */
type ServedSocket = Socket & { readonly _paused?: boolean }

/** Where the requests of a connection wait for their turn. */
export interface Queue {
  readonly isFull: boolean
  parsed(bytes: number): void
}

/**
 * Gives node:http's parser what comes on a connection that it serves, but a few requests at a time, and nothing while `queue` is full. It parses everything that
 * it gets at once, and makes more than a kilobyte out of each request of 18 bytes: a few hundred connections with 64 KB each would fill the memory.
 */
export function feedParser(socket: ServedSocket, queue: Queue): void {
  const [parse] = socket.listeners('data') as ((bytes: Buffer) => void)[]
  if (!parse) throw new Error('node:http no longer parses what its sockets emit')
  // With any listener but its own, node:http reads through the stream, where it can be held back.
  socket.off('data', parse).on('data', (bytes: Buffer) => {
    if (queue.isFull || socket._paused === true) {
      socket.pause().unshift(bytes)
      return
    }
    const end = endOfPart(bytes)
    parse(bytes.subarray(0, end))
    queue.parsed(end)
    // By now it may be paused, or somebody else may read it.
    if (end < bytes.length) socket.unshift(bytes.subarray(end))
  })
}

function endOfPart(bytes: Buffer): number {
  let end = 0
  for (let heads = 0; heads < AT_ONCE; heads++) {
    const found = bytes.indexOf(HEAD_END, end)
    if (found === -1) return bytes.length
    end = found + HEAD_END.length
  }
  return end
}
