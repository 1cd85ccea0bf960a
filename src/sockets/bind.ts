/** Takes a port or the path of a Unix socket. */
import { chmodSync, lstatSync, unlinkSync } from 'node:fs'
import { type AddressInfo, connect, type Server } from 'node:net'

export type BindAddress =
  | { readonly host: string; readonly port: number; readonly exclusive?: boolean; readonly ipv6Only?: boolean }
  | { readonly path: string }

/** Owner and group may connect. The administrator must let in anybody else. */
const SOCKET_MODE = 0o660

/**
 * A socket file that a dead process left is replaced; a live one is not.
 * @returns the address, which is the path for a Unix socket. Rejects with the system's error
 */
export async function bind(server: Server, wanted: BindAddress): Promise<AddressInfo | string> {
  if (!('path' in wanted)) return listen(server, wanted)
  const { path } = wanted
  // Tried before anything is removed: with node:cluster another worker may hold the socket, and then it is shared.
  const address = await listen(server, wanted).catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EADDRINUSE' || !(await removeDead(path))) throw error
    return listen(server, wanted)
  })
  chmodSync(path, SOCKET_MODE)
  return address
}

/** Connections that may wait to be accepted. A client beyond that tries again only after a second. The system may allow fewer (net.core.somaxconn). */
const BACKLOG = 4096

function listen(server: Server, wanted: BindAddress): Promise<AddressInfo | string> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ backlog: BACKLOG, ...wanted }, () => {
      server.off('error', reject)
      resolve(server.address() as AddressInfo | string)
    })
  })
}

/** Removes the file if it is a socket that nobody listens on. Returns whether it did. */
async function removeDead(path: string): Promise<boolean> {
  const before = versionOf(path)
  if (before === undefined || !(await refuses(path))) return false
  // Another gateway that starts now may have replaced it since: its socket is not ours to remove.
  if (versionOf(path) !== before) return false
  unlinkSync(path)
  return true
}

/** Differs for each socket that is made at this path; undefined for anything but a socket. */
function versionOf(path: string): string | undefined {
  const found = lstatSync(path, { bigint: true, throwIfNoEntry: false })
  return found?.isSocket() ? `${found.dev} ${found.ino} ${found.ctimeNs}` : undefined
}

/** Whether connections are refused. Only this error proves that nobody listens: a live server can cause any other. */
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
