/** Metrics of connections to clients and to upstreams, and of those that a limit refused. */
import { Counts, createLevel, type Level, type Register, type Sample, single } from './counts.ts'

export interface ConnectionMetrics {
  readonly connectionsOpen: Level
  /** Connections that a limit of their listener turned away. */
  connectionsRefused(limit: string, count: number): void
  /** `count` is called at each scrape. Returns a function that removes it again, for a service that a reload has retired. */
  upstreamConnections(service: string, count: () => UpstreamConnections): () => void
  /** Requests that got no connection to an upstream because of one of our limits. */
  upstreamConnectionsRefused(limit: string, count: number): void
  /** No file descriptor was left when that was checked. */
  openFilesExhausted(): void
}

export interface UpstreamConnections {
  readonly active: number
  readonly idle: number
}

const LIMITS = ['max_connections', 'open_files', 'max_connections_per_address', 'connection_rate_limit']
const UPSTREAM_LIMITS = ['upstream_max_connections', 'open_files']

export function connectionMetrics(register: Register): ConnectionMetrics {
  const refused = new Counts<string>((limit) => limit, LIMITS)
  const upstreamRefused = new Counts<string>((limit) => limit, UPSTREAM_LIMITS)
  let exhausted = 0
  const connectionsOpen = createLevel()
  const sources = new Set<UpstreamSource>()
  register('sallyport_connections_open', 'gauge', 'Connections of clients.', () => single(connectionsOpen.value))
  register(
    'sallyport_connections_refused_total',
    'counter',
    'Connections that a limit of their listener turned away before TLS.',
    () => refused.samples((limit) => ({ limit })),
  )
  register(
    'sallyport_upstream_connections_refused_total',
    'counter',
    'Requests that got no connection to an upstream, for a limit of the gateway.',
    () => upstreamRefused.samples((limit) => ({ limit })),
  )
  register(
    'sallyport_open_files_exhausted_total',
    'counter',
    'How often, looked at five times a second, no more files or connections could be opened (ulimit -n).',
    () => single(exhausted),
  )
  register('sallyport_upstream_connections', 'gauge', 'Connections to upstreams.', () => upstreamSamples(sources))
  return {
    connectionsOpen,
    connectionsRefused: (limit, count) => refused.add(limit, count),
    upstreamConnectionsRefused: (limit, count) => upstreamRefused.add(limit, count),
    openFilesExhausted() {
      exhausted += 1
    },
    upstreamConnections(service, count) {
      const source = { service, count }
      sources.add(source)
      return () => {
        sources.delete(source)
      }
    },
  }
}

interface UpstreamSource {
  readonly service: string
  readonly count: () => UpstreamConnections
}

/** While a reload drains an old service there are two of the same name, but each series may appear only once. */
function upstreamSamples(sources: Iterable<UpstreamSource>): Sample[] {
  const totals = new Map<string, UpstreamConnections>()
  for (const { service, count } of sources) {
    const { active, idle } = count()
    const before = totals.get(service)
    totals.set(service, { active: active + (before?.active ?? 0), idle: idle + (before?.idle ?? 0) })
  }
  return [...totals].flatMap(([service, { active, idle }]) => [
    { labels: { service, state: 'active' }, value: active },
    { labels: { service, state: 'idle' }, value: idle },
  ])
}
