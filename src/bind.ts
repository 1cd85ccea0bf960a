/** Takes a port or the path of a Unix socket. */
import { chmodSync, lstatSync, unlinkSync } from 'node:fs'
import { type AddressInfo, connect, type Server } from 'node:net'

export type Place =
  | { readonly host: string; readonly port: number; readonly exclusive?: boolean; readonly ipv6Only?: boolean }
  | { readonly path: string }

/** Owner and group may connect: whoever else should must be let in by the administrator. */
const SOCKET_MODE = 0o660

/**
 * A socket file that a dead process left is replaced; a live one is not.
 * @returns the address, which is the path for a Unix socket. Rejects with the system's error
 */
export async function bind(server: Server, place: Place): Promise<AddressInfo | string> {
  if (!('path' in place)) return listen(server, place)
  const { path } = place
  // First of all tried: with node:cluster another worker may hold it, and then it is shared.
  const address = await listen(server, place).catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EADDRINUSE' || !(await removeDead(path))) throw error
    return listen(server, place)
  })
  chmodSync(path, SOCKET_MODE)
  return address
}

/** Of connections that wait to be accepted. Beyond it a client only tries again after a second; the system (net.core.somaxconn) has the last word. */
const BACKLOG = 4096

function listen(server: Server, place: Place): Promise<AddressInfo | string> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ backlog: BACKLOG, ...place }, () => {
      server.off('error', reject)
      resolve(server.address() as AddressInfo | string)
    })
  })
}

/** Whether the file was a socket that nobody listens on; then it is gone. */
async function removeDead(path: string): Promise<boolean> {
  const before = versionOf(path)
  if (before === undefined || !(await refuses(path))) return false
  // Another gateway that starts now may have replaced it since: its socket is not ours to remove.
  if (versionOf(path) !== before) return false
  unlinkSync(path)
  return true
}

/** Changes with each socket that is made there; undefined for anything else than a socket. */
function versionOf(path: string): string | undefined {
  const found = lstatSync(path, { bigint: true, throwIfNoEntry: false })
  return found?.isSocket() ? `${found.dev} ${found.ino} ${found.ctimeNs}` : undefined
}

/** Only this error says that nobody listens: any other may come from a live server too. */
function refuses(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path })
    socket.once('connect', () => {
      socket.destroy()
      resolve(false)
    })
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'ECONNREFUSED'))
  })
}
