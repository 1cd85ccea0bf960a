import { AggregatorRegistry, type MetricObjectWithValues, type MetricValue } from 'prom-client'
import { textOf } from '../metrics.ts'

export type Snapshot = readonly MetricObjectWithValues<MetricValue<string>>[]

/** The metrics of all workers, combined as if they were one process: counters and levels are added up; of dates and successes the smallest counts. */
export class GatheredMetrics {
  readonly contentType = new AggregatorRegistry().contentType
  readonly #ask: () => Promise<readonly Snapshot[]>
  /** The counts of workers that have ended: a counter that falls would look like a new start. */
  #ended: Snapshot = []

  /** @param ask gets a snapshot of each worker that answers */
  constructor(ask: () => Promise<readonly Snapshot[]>) {
    this.#ask = ask
  }

  /** Prometheus's text format. */
  async text(): Promise<string> {
    return textOf(sum([this.#ended, ...(await this.#ask())]))
  }

  /** Keeps what a worker had counted when it ended. */
  async keep(last: Snapshot): Promise<void> {
    const counted = last.filter(({ type }) => COUNTING.has(String(type)))
    this.#ended = await sum([this.#ended, counted]).getMetricsAsJSON()
  }
}

const COUNTING = new Set(['counter', 'histogram'])

function sum(snapshots: readonly Snapshot[]) {
  return AggregatorRegistry.aggregate([...snapshots] as object[])
}
