/** Sets of IP addresses, and of peers, for `trusted_ips`. */
import { BlockList, isIP } from 'node:net'

export interface AddressSet {
  /** @param address as node:net's `remoteAddress` gives it; what is no IP address is in no set */
  has(address: string): boolean
}

const MAX_CACHED = 1024
const CIDR = /^([0-9A-Fa-f.:]+)(?:\/([0-9]{1,3}))?$/

/**
 * @param cidrs addresses and networks of both families, `10.0.0.0/8`, `::1`; IPv4-mapped ones count as the IPv4 they are
 * @throws Error naming the entry that is neither
 */
export function createAddressSet(cidrs: readonly string[]): AddressSet {
  if (cidrs.length === 0) return { has: () => false }
  const list = new BlockList()
  for (const cidr of cidrs) addNetwork(list, cidr)
  // Each check crosses into C++ and costs microseconds; the same few peers are checked again and again.
  const cache = new Map<string, boolean>()
  return {
    has(address) {
      const known = cache.get(address)
      if (known !== undefined) return known
      if (cache.size >= MAX_CACHED) cache.clear()
      const found = contains(list, address)
      cache.set(address, found)
      return found
    },
  }
}

/** The address of every peer over a Unix socket. */
const UNIX = 'unix:'

/** As an address set, where nginx's `unix:` may be named too. */
export function createPeerSet(peers: readonly string[]): AddressSet {
  const addresses = createAddressSet(peers.filter((peer) => peer !== UNIX))
  return peers.includes(UNIX) ? { has: (address) => address === UNIX || addresses.has(address) } : addresses
}

function addNetwork(list: BlockList, cidr: string): void {
  const parts = CIDR.exec(cidr)
  const written = parts?.[1] ?? ''
  const address = unmapped(written)
  const version = isIP(address)
  const bits = version === 4 ? 32 : 128
  // The 96 bits in front of a mapped address are not part of the IPv4 network.
  const mappedBits = address === written ? 0 : 96
  const prefix = parts?.[2] === undefined ? bits : Number(parts[2]) - mappedBits
  if (version === 0 || prefix < 0 || prefix > bits) {
    throw new Error(
      `${JSON.stringify(cidr)} is not an address or network: write 192.0.2.1, 192.0.2.0/24 or 2001:db8::/32`,
    )
  }
  list.addSubnet(address, prefix, version === 4 ? 'ipv4' : 'ipv6')
}

function contains(list: BlockList, text: string): boolean {
  const address = unmapped(text)
  const version = isIP(address)
  if (version === 0) return false
  return list.check(address, version === 4 ? 'ipv4' : 'ipv6')
}

/** `::ffff:192.0.2.1`, as a dual-stack listener reports an IPv4 peer, without its prefix. */
function unmapped(address: string): string {
  return /^::ffff:[0-9.]+$/i.test(address) ? address.slice(7) : address
}
