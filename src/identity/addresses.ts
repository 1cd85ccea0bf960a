/** Client addresses as they stand in X-Forwarded-For. */
import { isIP } from 'node:net'

/** An address in its usual form: an IPv4-mapped IPv6 address (RFC 4291 2.5.5.2) as IPv4, without a zone, in lower case. */
export function plainAddress(address: string): string {
  const zone = address.indexOf('%')
  const bare = (zone === -1 ? address : address.slice(0, zone)).toLowerCase()
  if (!bare.includes(':')) return bare
  const dotted = /^(?:::|(?:0{1,4}:){5})ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(bare)
  if (dotted) return dotted[1] as string
  const hexadecimal = /^(?:::|(?:0{1,4}:){5})ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(bare)
  if (!hexadecimal) return bare
  const [high, low] = [Number.parseInt(hexadecimal[1] as string, 16), Number.parseInt(hexadecimal[2] as string, 16)]
  return [high >> 8, high & 255, low >> 8, low & 255].join('.')
}

/** One entry of X-Forwarded-For, which may carry a port (`192.0.2.1:80`, `[2001:db8::1]:80`), as an address; undefined where it is none. */
function forwardedAddress(entry: string): string | undefined {
  const bracketed = /^\[([^\]]*)\](?::\d{1,5})?$/.exec(entry)
  const address = bracketed?.[1] ?? /^([\d.]+):\d{1,5}$/.exec(entry)?.[1] ?? entry
  return isIP(address) === 0 ? undefined : plainAddress(address)
}

/**
 * The nearest address that is not one of our own proxies: the first from the right that is not trusted. An entry that is no address ends the search,
 * since it is unknown who wrote the entries to its left.
 */
export function nearestUntrusted(
  peer: string,
  chain: string | undefined,
  trusted: { has(address: string): boolean },
): string {
  let nearest = peer
  if (chain === undefined) return nearest
  const entries = chain.split(',')
  for (let i = entries.length - 1; i >= 0 && trusted.has(nearest); i--) {
    const address = forwardedAddress((entries[i] as string).trim())
    if (address === undefined) break
    nearest = address
  }
  return nearest
}
