/** Plain numbers behind the metrics: cheap to add to on each request, turned into samples at each scrape. */

export interface Sample {
  readonly labels: Readonly<Record<string, string | number>>
  readonly value: number
  readonly metricName?: string
}

export type MetricType = 'counter' | 'gauge' | 'histogram'

export interface MetricFamily {
  readonly name: string
  readonly type: MetricType
  readonly help: string
  /** Asked at each scrape; what it gives may be taken a few at a time. */
  readonly read: () => Iterable<Sample>
}

/** Makes one metric known. */
export type Register = (
  name: MetricFamily['name'],
  type: MetricType,
  help: MetricFamily['help'],
  read: MetricFamily['read'],
) => void

/** A metric without labels. */
export function single(value: number | undefined): Sample[] {
  return value === undefined ? [] : [{ labels: {}, value }]
}

/** A number that goes up and down. */
export interface Level {
  increment(): void
  decrement(): void
  readonly value: number
}

export function createLevel(): Level {
  let value = 0
  return {
    increment() {
      value += 1
    },
    decrement() {
      value -= 1
    },
    get value() {
      return value
    },
  }
}

/** Counts for a small, closed set of keys, for events that happen once per connection or per refusal. */
export class Counts<Key> {
  readonly #counts = new Map<string, { readonly key: Key; value: number }>()
  readonly #identify: (key: Key) => string

  /**
   * @param known keys that are shown from the start, with 0: Prometheus's `rate` does not see a step from nothing to 1, and an alarm may be about
   * that step
   */
  constructor(identify: (key: Key) => string, known: readonly Key[] = []) {
    this.#identify = identify
    for (const key of known) this.add(key, 0)
  }

  add(key: Key, count = 1): void {
    const id = this.#identify(key)
    const found = this.#counts.get(id)
    if (found) found.value += count
    else this.#counts.set(id, { key, value: count })
  }

  samples(labels: (key: Key) => Sample['labels']): Sample[] {
    return [...this.#counts.values()].map(({ key, value }) => ({ labels: labels(key), value }))
  }
}

/** Seconds. */
const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60] as const

class Histogram {
  readonly #counts = new Float64Array(BUCKETS.length + 1)
  #sum = 0

  /** @param seconds a value above the last bucket counts as infinite */
  observe(seconds: number): void {
    let bucket = 0
    while (bucket < BUCKETS.length && seconds > (BUCKETS[bucket] as number)) bucket += 1
    this.#counts[bucket] = (this.#counts[bucket] as number) + 1
    this.#sum += seconds
  }

  /** Cumulative, as Prometheus wants them. */
  samples(name: string, labels: Sample['labels']): Sample[] {
    let cumulative = 0
    const buckets = [...this.#counts].map((count, i): Sample => {
      cumulative += count
      return { metricName: `${name}_bucket`, labels: { ...labels, le: BUCKETS[i] ?? '+Inf' }, value: cumulative }
    })
    return [
      ...buckets,
      { metricName: `${name}_sum`, labels, value: this.#sum },
      { metricName: `${name}_count`, labels, value: cumulative },
    ]
  }
}

/** One finished request. Times in milliseconds; `upstreamTime` only where an upstream answered. */
export interface FinishedRequest {
  readonly status: number
  readonly duration: number
  readonly upstreamTime: number | undefined
  readonly attempts: number
  readonly bytesReceived: number
  readonly bytesSent: number
}

/** All counters of one route. */
export class RouteCounts {
  readonly #labels: { readonly route: string; readonly service: string }
  readonly #byStatus = new Map<number, number>()
  readonly #durations = new Histogram()
  readonly #upstreamDurations = new Histogram()
  #retries = 0
  #received = 0
  #sent = 0

  constructor(route: string, service: string) {
    this.#labels = { route, service }
  }

  finished({ status, duration, upstreamTime, attempts, bytesReceived, bytesSent }: FinishedRequest): void {
    // An upstream chooses the status: one that HTTP does not define (RFC 9110 15) must not make a new series.
    const counted = status >= 100 && status <= 599 ? status : 0
    this.#byStatus.set(counted, (this.#byStatus.get(counted) ?? 0) + 1)
    this.#durations.observe(duration / 1000)
    if (upstreamTime !== undefined) this.#upstreamDurations.observe(upstreamTime / 1000)
    if (attempts > 1) this.#retries += attempts - 1
    this.#received += bytesReceived
    this.#sent += bytesSent
  }

  requests(): Sample[] {
    return [...this.#byStatus].map(([code, value]) => ({ labels: { ...this.#labels, code }, value }))
  }

  durations(name: string): Sample[] {
    return this.#durations.samples(name, this.#labels)
  }

  upstreamDurations(name: string): Sample[] {
    return this.#upstreamDurations.samples(name, this.#labels)
  }

  retries(): Sample[] {
    return [{ labels: this.#labels, value: this.#retries }]
  }

  bytes(): Sample[] {
    return [
      { labels: { ...this.#labels, direction: 'received' }, value: this.#received },
      { labels: { ...this.#labels, direction: 'sent' }, value: this.#sent },
    ]
  }
}
