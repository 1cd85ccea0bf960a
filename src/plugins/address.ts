/** Finds where a plugin listens, as Docker's hosts do (moby pkg/plugins: discovery, client). */
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'

export interface PluginAddress {
  /** The address as the operator wrote it, for the log. */
  readonly url: string
  /** What node:http connects to. As in Docker, a path in the address is ignored: the path of a request is its method. */
  readonly target: { readonly socketPath: string } | { readonly host: string; readonly port: number }
  /** Undefined where TLS is not spoken. */
  readonly tls: PluginTls | undefined
}

/** PEM texts. The plugin's certificate is always verified. */
export interface PluginTls {
  readonly ca: string | undefined
  readonly cert: string | undefined
  readonly key: string | undefined
}

/** Where plugins are looked for. */
export interface PluginDirectories {
  /** `NAME.sock` or `NAME/NAME.sock`. */
  readonly sockets: readonly string[]
  /** `NAME.spec` or `NAME.json`, likewise; in each folder .spec goes first. */
  readonly specs: readonly string[]
}

/** An address that cannot be used or found; the message says what is wrong or where it was looked for. */
export class PluginAddressError extends Error {}

/** @throws PluginAddressError */
export function findPlugin(name: string, { sockets, specs }: PluginDirectories): PluginAddress {
  // The name becomes part of a path.
  if (!/^[A-Za-z0-9][\w.-]*$/.test(name)) throw new PluginAddressError(`"${name}" is no plugin's name`)
  for (const folder of sockets) {
    for (const path of [join(folder, `${name}.sock`), join(folder, name, `${name}.sock`)]) {
      if (isSocket(path)) return { url: `unix://${path}`, target: { socketPath: path }, tls: undefined }
    }
  }
  for (const folder of specs) {
    for (const file of [`${name}.spec`, join(name, `${name}.spec`), `${name}.json`, join(name, `${name}.json`)]) {
      const path = join(folder, file)
      const content = read(path)
      if (content !== undefined)
        return path.endsWith('.json') ? fromJson(content, path) : parseAddress(content.trim(), path)
    }
  }
  throw new PluginAddressError(`no plugin "${name}" in ${[...sockets, ...specs].join(', ')}`)
}

/**
 * `unix:///run/x.sock`, `tcp://host:port` and `http://host:port` (which are the same), `https://host:port`.
 * @param source what to call the place of the address in messages
 * @throws PluginAddressError
 */
export function parseAddress(text: string, source: string, tls?: PluginTls): PluginAddress {
  if (text.startsWith('unix://')) {
    const path = text.slice('unix://'.length)
    if (!path.startsWith('/')) throw new PluginAddressError(`${source}: a unix:// address needs an absolute path`)
    if (Buffer.byteLength(path) > LONGEST_SOCKET_PATH)
      throw new PluginAddressError(`${source}: the path of a socket has at most ${LONGEST_SOCKET_PATH} bytes`)
    return { url: text, target: { socketPath: path }, tls: undefined }
  }
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (!url || !['tcp:', 'http:', 'https:'].includes(url.protocol) || url.hostname === '') {
    throw new PluginAddressError(
      `${source}: expected unix:///path, tcp://host:port, http://host:port or https://host:port`,
    )
  }
  const secure = url.protocol === 'https:'
  const host = url.hostname.replace(/^\[|\]$/g, '')
  return {
    url: `${url.protocol}//${url.host}`,
    target: { host, port: Number(url.port) || (secure ? 443 : 80) },
    tls: secure ? (tls ?? NO_TLS_FILES) : undefined,
  }
}

const NO_TLS_FILES: PluginTls = { ca: undefined, cert: undefined, key: undefined }
/** sockaddr_un. */
const LONGEST_SOCKET_PATH = 107
/** A file of a plugin holds an address and a few paths. */
const LARGEST_FILE = 64 * 1024

/** Keys in any letter case, as Go reads them. Docker does not verify https plugins without a CAFile; here the system's authorities are used then. */
function fromJson(content: string, path: string): PluginAddress {
  const { addr, tlsconfig } = lowerCased(parseJson(content, path))
  if (typeof addr !== 'string') throw new PluginAddressError(`${path}: Addr is missing`)
  if (tlsconfig === undefined || tlsconfig === null) return parseAddress(addr, path)
  const { insecureskipverify, cafile, certfile, keyfile } = lowerCased(tlsconfig)
  if (insecureskipverify === true)
    throw new PluginAddressError(`${path}: InsecureSkipVerify is true; name the authority in CAFile instead`)
  return parseAddress(addr, path, { ca: pem(cafile, path), cert: pem(certfile, path), key: pem(keyfile, path) })
}

function pem(file: unknown, path: string): string | undefined {
  if (file === undefined || file === '') return undefined
  const content = typeof file === 'string' ? read(file) : undefined
  if (content === undefined) throw new PluginAddressError(`${path}: ${JSON.stringify(file)} cannot be read`)
  return content
}

function parseJson(content: string, path: string): unknown {
  try {
    return JSON.parse(content)
  } catch {
    throw new PluginAddressError(`${path}: is no JSON`)
  }
}

function lowerCased(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return {}
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key.toLowerCase(), each]))
}

/** A folder that we may not look into has none for us: on a host of Docker's, /run/docker is root's alone, and the address may stand in a file. */
function isSocket(path: string): boolean {
  try {
    return statSync(path).isSocket()
  } catch {
    return false
  }
}

/** Undefined where there is no such file, or none that can be read. */
function read(path: string): string | undefined {
  try {
    const stats = statSync(path, { throwIfNoEntry: false })
    return stats?.isFile() && stats.size <= LARGEST_FILE ? readFileSync(path, 'utf8') : undefined
  } catch {
    return undefined
  }
}
