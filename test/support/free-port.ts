/** For peers that cannot bind port 0 and tell, and for ports on which nobody listens. */
import { randomInt } from 'node:crypto'
import { connect, createServer } from 'node:net'

/**
 * Below ip_local_port_range, see ip(7): of those in it the system gives any to whoever binds port 0, and to each outgoing connection,
 * so that one found free could be taken a moment later.
 */
const FIRST = 20_000
const LAST = 32_767
/** Jest's workers run side by side: each has ports of its own. */
const SHARES = 16
const SHARE = Number(process.env.JEST_WORKER_ID ?? 0) % SHARES

const given = new Set<number>()

/** A port that is free, and that stays so until whoever asked takes it. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = FIRST + SHARES * randomInt(Math.floor((LAST - FIRST) / SHARES)) + SHARE
    if (given.has(port) || !(await isFree(port))) continue
    given.add(port)
    return port
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

/** Whether somebody listens there. */
export function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port })
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
