/** Addresses of one configuration that cannot be listened on at the same time. */
import { isIP } from 'node:net'
import { type ListenAddress, listenText, type PortAddress } from '../schema/addresses.ts'
import type { ResolveContext } from './context.ts'

interface Listening {
  /** The block, such as `listeners[0]`. */
  readonly at: string
  readonly listen: ListenAddress | undefined
}

/** Of two that are the same, or of which one holds the other as `0.0.0.0` holds `127.0.0.1`, the system refuses the second. */
export function reportOverlaps(
  listeners: readonly Listening[],
  adminListen: ListenAddress | 'off' | undefined,
  { report }: ResolveContext,
): void {
  for (const [index, { at, listen }] of listeners.entries()) {
    const other = listeners.slice(0, index).find((earlier) => overlap(earlier.listen, listen))
    if (other)
      report({ path: `${at}.listen`, message: `${among(other, listen)}; put the servers of both into one listener` })
  }
  const admin = adminListen === 'off' ? undefined : adminListen
  const other = listeners.find(({ listen }) => overlap(listen, admin))
  if (other) report({ path: 'admin.listen', message: `${among(other, admin)}; choose another port` })
}

function among({ at, listen }: Listening, own: ListenAddress | undefined): string {
  const theirs = listen ? listenText(listen) : ''
  return own && listenText(own) === theirs ? `is the address of ${at} too` : `overlaps with ${theirs} of ${at}`
}

function overlap(one: ListenAddress | undefined, other: ListenAddress | undefined): boolean {
  if (!one || !other) return false
  if ('path' in one || 'path' in other) return listenText(one) === listenText(other)
  if (one.port === 0 || one.port !== other.port) return false
  if (one.host === other.host) return true
  return holds(one, other) || holds(other, one)
}

function holds(all: PortAddress, { host }: PortAddress): boolean {
  if (all.host === '0.0.0.0') return isIP(host) === 4
  return all.host === '::' && (isIP(host) === 6 || (isIP(host) === 4 && !all.ipv6Only))
}
