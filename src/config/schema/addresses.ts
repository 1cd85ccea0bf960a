/** The types of values that name a place in the network. */
import { isIP } from 'node:net'
import { type Kind, Unfit } from './field.ts'

/** A port to listen on. */
export interface PortAddress {
  /** Without brackets. */
  readonly host: string
  /** 0 lets the system choose. */
  readonly port: number
  /** `[::]` takes IPv4 too, unless another listener has the port for that. */
  readonly ipv6Only?: true
}

/** A port, or the path of a Unix socket. */
export type ListenAddress = PortAddress | { readonly path: string }

/** As it is written. */
export function listenText(address: ListenAddress): string {
  if ('path' in address) return `unix:${address.path}`
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`
}

/** What fits into sockaddr_un with its final zero, on Linux (unix(7)) and on macOS. */
const LONGEST_SOCKET_PATH = process.platform === 'linux' ? 107 : 103

/** What stands for a host where it is one of these. */
export const UNIX = 'unix:'

export function readSocketPath(path: string): string {
  if (!path.startsWith('/') || path.endsWith('/') || path.includes('\0'))
    throw new Unfit('names no file; expected an absolute path after unix:, such as unix:/run/sallyport.sock')
  if (Buffer.byteLength(path) > LONGEST_SOCKET_PATH)
    throw new Unfit(
      `has a path of ${Buffer.byteLength(path)} bytes, and the system takes ${LONGEST_SOCKET_PATH} for a Unix socket; choose a shorter one`,
    )
  return path
}

const PORT = /^\d{1,5}$/

function readPort(digits: string, min: number): number {
  const port = PORT.test(digits) ? Number(digits) : Number.NaN
  if (port >= min && port <= 65535) return port
  throw new Unfit(`has no port from ${min} to 65535 after its last colon`)
}

/** `host` without brackets, and what follows the colon. */
function splitPort(written: string): { host: string; port: string | undefined } {
  const parts = /^(?:\[([^\]]+)\]|([^:[\]]*))(?::([^:]*))?$/.exec(written)
  if (!parts) throw new Unfit('')
  if (parts[1] !== undefined && isIP(parts[1]) !== 6) throw new Unfit('holds no IPv6 address between the brackets')
  return { host: parts[1] ?? parts[2] ?? '', port: parts[3] }
}

/** nginx's `listen`: `8443`, `*:8443`, `127.0.0.1:8443`, `[::1]:8443`, `unix:/run/sallyport.sock`. */
export const listenAddress: Kind<ListenAddress> = {
  expected: 'an address such as 0.0.0.0:8443, *:8443, [::1]:8443, 8443 or unix:/run/sallyport.sock',
  json: { type: ['string', 'integer'] },
  parse: (value) =>
    typeof value === 'string' && value.startsWith(UNIX)
      ? { path: readSocketPath(value.slice(UNIX.length)) }
      : portAddress.parse(value),
}

/** nginx's `listen 443 ssl default_server`. */
const NO_PARAMETERS =
  'holds more than an address; write only that: listeners always speak TLS, servers have default_server, and proxy_protocol_from is a setting of the listener'

const portAddress: Kind<PortAddress> = {
  expected: 'an address such as 0.0.0.0:8443, *:8443, [::1]:8443 or 8443',
  json: { type: ['string', 'integer'] },
  parse(value) {
    const written = typeof value === 'number' ? `${value}` : value
    if (typeof written !== 'string' || written === '') throw new Unfit('')
    if (/^\S+\s+\S/.test(written)) throw new Unfit(NO_PARAMETERS)
    if (PORT.test(written)) return { host: '0.0.0.0', port: readPort(written, 0) }
    const { host, port } = splitPort(written)
    if (port === undefined) throw new Unfit('names no port; expected an address such as 0.0.0.0:8443')
    if (host !== '*' && !isHostname(host) && isIP(host) !== 6) throw new Unfit('')
    return { host: host === '*' ? '0.0.0.0' : host, port: readPort(port, 0) }
  },
}

/** An address to listen on, or `off`. */
export const listenAddressOrOff: Kind<ListenAddress | 'off'> = {
  expected: 'an address such as 127.0.0.1:9901 or unix:/run/sallyport-admin.sock, or off',
  json: { type: ['string', 'integer', 'boolean'] },
  parse: (value) => (value === 'off' || value === false ? 'off' : listenAddress.parse(value)),
}

/** An address, or a network with its prefix length. */
export const network: Kind<string> = {
  expected: 'an address or network such as 10.0.0.0/8, 192.168.1.7 or fd00::/8',
  json: { type: 'string' },
  parse(value) {
    const [address = '', length, ...more] = typeof value === 'string' ? value.split('/') : []
    const bits = { 0: -1, 4: 32, 6: 128 }[isIP(address)] ?? -1
    if (bits < 0 || more.length > 0 || address.includes('%')) throw new Unfit('')
    if (length !== undefined && !(PORT.test(length) && Number(length) <= bits)) throw new Unfit('')
    return `${address}/${length ?? bits}`
  },
}

/** nginx's set_real_ip_from: an address or network, or `unix:` for whoever comes over a Unix socket. */
export const networkOrUnix: Kind<string> = {
  expected:
    'an address or network such as 10.0.0.0/8, 192.168.1.7 or fd00::/8, or "unix:", in quotes, for Unix sockets',
  json: { type: 'string' },
  parse: (value) => (value === 'unix:' ? value : network.parse(value)),
}

/** A DNS name or an IPv4 address. Underscores are let through: Docker Compose's services have them. */
function isHostname(host: string): boolean {
  return host.length <= 253 && /^(?!-)[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?$/.test(host)
}

/** A host to connect to; IPv6 with or without brackets. Lower case, IPv6 without brackets. */
export const host: Kind<string> = {
  expected: 'a host name or an address, without scheme and port',
  json: { type: 'string' },
  parse(value) {
    const bare = typeof value === 'string' ? value.replace(/^\[(.+)\]$/, '$1') : ''
    if (isIP(bare) === 0 && !isHostname(bare)) throw new Unfit('')
    return bare.toLowerCase()
  },
}

/** A host, or the Unix socket that an API listens on. */
export const hostOrSocket: Kind<string | { readonly socket: string }> = {
  expected: 'a host name or an address, without scheme and port, or unix: and the path of a Unix socket',
  json: { type: 'string' },
  parse: (value) =>
    typeof value === 'string' && value.startsWith(UNIX)
      ? { socket: readSocketPath(value.slice(UNIX.length)) }
      : host.parse(value),
}

/** A host with an optional port, for Host. */
export const authority: Kind<string> = {
  expected: 'a host name, with a port if needed, such as api.example.com:8080',
  json: { type: 'string' },
  parse(value) {
    if (typeof value !== 'string') throw new Unfit('')
    const { host: name, port } = splitPort(value)
    if (port !== undefined) readPort(port, 1)
    if (isIP(name) === 0 && !isHostname(name)) throw new Unfit('')
    return value
  },
}

/** Kong's `target`: `host[:port]`; or a Unix socket. */
export type TargetAddress = { readonly host: string; readonly port: number } | { readonly socket: string }

const KONG_TARGET_PORT = 8000

export const targetAddress: Kind<TargetAddress> = {
  expected: 'a host and a port such as 10.0.0.1:8080 or [fd00::1]:8080, or unix:/run/app.sock',
  json: { type: 'string' },
  parse(value) {
    if (typeof value !== 'string' || value === '') throw new Unfit('')
    if (value.startsWith(UNIX)) return { socket: readSocketPath(value.slice(UNIX.length)) }
    // A bare IPv6 address has colons that are no port's.
    if (isIP(value) === 6) return { host: value.toLowerCase(), port: KONG_TARGET_PORT }
    const split = splitPort(value)
    return {
      host: host.parse(split.host),
      port: split.port === undefined ? KONG_TARGET_PORT : readPort(split.port, 1),
    }
  },
}

/** A name that a server, a route or a certificate answers to: exact, or with one `*` as its first or last label. Lower case. */
export const wildcardName: Kind<string> = {
  expected: 'a name such as www.example.com, *.example.com or www.example.*',
  json: { type: 'string' },
  parse(value) {
    if (typeof value !== 'string') throw new Unfit('')
    if (isIP(value) !== 0) return value.toLowerCase()
    const fixed = value.replace(/^\*\.|\.\*$/, '')
    if (!isHostname(fixed)) throw new Unfit('')
    return value.toLowerCase().replace(/\.$/, '')
  },
}
