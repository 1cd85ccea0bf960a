/** From the samples of all rounds to one Markdown table of medians with ratios. */

/** Samples of one metric by gateway; a failed measurement leaves its sentence instead. */
export type Samples = Map<string, Map<string, number[]>>

interface Metric {
  readonly key: string
  readonly label: string
  readonly decimals: number
  /** Where more is better. */
  readonly more?: true
  /** What another figure has to be read with; by itself neither good nor bad. */
  readonly aside?: true
}

/** In the table's order. */
export const metrics: readonly Metric[] = [
  { key: 'requestCpu', label: 'CPU µs per request', decimals: 1 },
  { key: 'pastCpu', label: '… after 1,000 connections were held and closed', decimals: 1 },
  { key: 'requestsPerSecond', label: 'requests per second (more is better)', decimals: 0, more: true },
  { key: 'p99', label: '99th percentile, ms', decimals: 2 },
  { key: 'paced50', label: 'median at 2,000 requests per second, ms', decimals: 2 },
  { key: 'paced90', label: '… 90th percentile', decimals: 2 },
  { key: 'paced99', label: '… 99th percentile', decimals: 2 },
  { key: 'paced999', label: '… 99.9th percentile', decimals: 2 },
  { key: 'postCpu', label: 'CPU µs per POST of 1 KB', decimals: 1 },
  { key: 'answer10kCpu', label: 'CPU µs per answer of 10 KB', decimals: 1 },
  { key: 'answer100kCpu', label: 'CPU µs per answer of 100 KB', decimals: 1 },
  { key: 'realCpu', label: 'CPU µs per request, access log, 10 routes', decimals: 1 },
  { key: 'tenRoutesCpu', label: 'CPU µs per request, 10 routes', decimals: 1 },
  { key: 'manyRoutesCpu', label: 'CPU µs per request, 10,000 routes', decimals: 1 },
  { key: 'tenRoutesMib', label: 'MiB after that load, 10 routes', decimals: 0 },
  { key: 'manyRoutesMib', label: 'MiB after that load, 10,000 routes', decimals: 0 },
  { key: 'manyRoutesStart', label: 'ms from start to first answer, 10,000 routes', decimals: 0 },
  { key: 'manyRoutesReload', label: 'ms of a reload of 10,000 routes', decimals: 0 },
  { key: 'reloadP999', label: '… paced requests meanwhile, 99.9th percentile, ms', decimals: 1 },
  { key: 'reloadLongest', label: '… the longest of them', decimals: 1 },
  { key: 'tenNamesCpu', label: 'CPU µs per request, 10 names with a certificate each', decimals: 1 },
  { key: 'manyNamesCpu', label: 'CPU µs per request, 10,000 names', decimals: 1 },
  { key: 'tenNamesConnection', label: 'CPU µs per new connection, 10 names', decimals: 0 },
  { key: 'manyNamesConnection', label: 'CPU µs per new connection, 10,000 names', decimals: 0 },
  { key: 'manyNamesFirst', label: '… the first by its name', decimals: 0 },
  { key: 'tenNamesMib', label: 'MiB after that load, 10 names', decimals: 0 },
  { key: 'manyNamesMib', label: 'MiB after that load, 10,000 names', decimals: 0 },
  { key: 'manyNamesStart', label: 'ms from start to first answer, 10,000 names', decimals: 0 },
  { key: 'manyNamesReload', label: 'ms of a reload of 10,000 names', decimals: 0 },
  { key: 'namesReloadLongest', label: '… the longest of paced requests meanwhile, ms', decimals: 1 },
  { key: 'openRouteCpu', label: 'CPU µs per request, nobody asked for', decimals: 1 },
  { key: 'mappedRouteCpu', label: '… a user of a group asked for', decimals: 1 },
  { key: 'mappedRatio', label: '… as a part of the former', decimals: 3 },
  { key: 'usersByEmailMb', label: 'MB for a million users by address', decimals: 0 },
  { key: 'usersByEmailUs', label: 'µs to find one', decimals: 2 },
  { key: 'usersByDnMb', label: 'MB for a million users by subject', decimals: 0 },
  { key: 'usersByDnUs', label: 'µs to find one, in another order', decimals: 2 },
  { key: 'handshakeCpu', label: 'CPU µs per handshake with certificates on both sides', decimals: 0 },
  { key: 'connectionCpu', label: 'CPU µs per new connection', decimals: 0 },
  { key: 'resumedCpu', label: 'CPU µs per resumed connection', decimals: 0 },
  { key: 'hybridCpu', label: '… whose client offers X25519MLKEM768', decimals: 0 },
  { key: 'calmP99', label: '99th percentile of paced requests, ms', decimals: 1 },
  { key: 'crowd99', label: '… while 1,000 connections open at once', decimals: 1 },
  { key: 'crowd50', label: '… the median of them', decimals: 1 },
  { key: 'crowdMax', label: '… the longest of them', decimals: 1 },
  { key: 'crowdMs', label: '… until all of the crowd are served, ms', decimals: 0 },
  { key: 'crowdComputed', label: '… what the gateway computed meanwhile, ms', decimals: 0, aside: true },
  { key: 'crowdWaited', label: '… and waited for a processor, ms', decimals: 0, aside: true },
  { key: 'held', label: 'idle connections held by one process', decimals: 0, more: true },
  { key: 'heldKib', label: 'KiB of each', decimals: 1 },
  { key: 'heldP99', label: '99th percentile of paced requests beside them, ms', decimals: 1 },
  { key: 'onePerSecond', label: 'requests per second, everything on one core, 1 worker', decimals: 0, more: true },
  { key: 'twoPerSecond', label: '… on two cores, 2 workers', decimals: 0, more: true },
  { key: 'oneCpu', label: '… CPU µs per request, 1 worker', decimals: 1 },
  { key: 'twoCpu', label: '… 2 workers', decimals: 1 },
  { key: 'loadCpu', label: "… of the load generator's", decimals: 1 },
  { key: 'downloadCpu', label: 'CPU seconds per GB down', decimals: 2 },
  { key: 'uploadCpu', label: 'CPU seconds per GB up', decimals: 2 },
  { key: 'idleKib', label: 'KiB per idle connection', decimals: 1 },
  { key: 'restMib', label: 'MiB at rest (RSS, all processes)', decimals: 1 },
  { key: 'startMs', label: 'ms from start to first answer', decimals: 0 },
  { key: 'readyMs', label: 'ms from start to /readyz 200', decimals: 0 },
]

export function record(samples: Samples, gateway: string, figures: Readonly<Record<string, number>>): void {
  for (const [metric, value] of Object.entries(figures)) {
    const byGateway = samples.get(metric) ?? new Map<string, number[]>()
    samples.set(metric, byGateway)
    byGateway.set(gateway, [...(byGateway.get(gateway) ?? []), value])
  }
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2
}

/** Half of what lies between the lowest and the highest, as a part of the median. */
export function spread(values: readonly number[]): number {
  return (Math.max(...values) - Math.min(...values)) / 2 / median(values)
}

/** Medians by metric and gateway, for `--json`. */
export function medians(samples: Samples): Record<string, Record<string, number>> {
  const rows = [...samples].map(([metric, byGateway]) => {
    const cells = [...byGateway].map(([gateway, values]) => [gateway, median(values)] as const)
    return [metric, Object.fromEntries(cells)] as const
  })
  return Object.fromEntries(rows)
}

/** One row per metric that was measured, one column per gateway: `median ± spread (× the reference's median)`. */
export function markdownTable(samples: Samples, gateways: readonly string[], reference: string): string {
  const head = ['', ...gateways]
  const rows = metrics.flatMap((metric) => {
    const byGateway = samples.get(metric.key)
    return byGateway ? [[metric.label, ...gateways.map((name) => cell(metric, byGateway, name, reference))]] : []
  })
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((row) => row[column]?.length ?? 0), 3))
  const line = (row: readonly string[]) =>
    `| ${row.map((text, i) => (i === 0 ? text.padEnd(widths[i] ?? 0) : text.padStart(widths[i] ?? 0))).join(' | ')} |`
  const rule = `| ${widths.map((width, i) => (i === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)).join(' | ')} |`
  return [line(head), rule, ...rows.map(line)].join('\n')
}

function cell(metric: Metric, byGateway: ReadonlyMap<string, readonly number[]>, name: string, reference: string) {
  const values = byGateway.get(name)
  if (!values) return '–'
  const value = median(values)
  const base = byGateway.get(reference)
  const ratio = base ? ` (${(value / median(base)).toFixed(2)})` : ''
  const around = values.length > 1 ? ` ±${Math.round(spread(values) * 100)}%` : ''
  return `${value.toLocaleString('en', numberFormat(metric.decimals))}${around}${ratio}`
}

function numberFormat(decimals: number) {
  return { minimumFractionDigits: decimals, maximumFractionDigits: decimals }
}
