import { AggregatorRegistry } from 'prom-client'
import { addUp } from '../metrics/exposition.ts'
import { type MetricsSnapshot, textOf } from '../metrics/metrics.ts'
import { inSlices } from '../slices.ts'

export const NO_METRICS: MetricsSnapshot = { process: [], own: '' }

/** The metrics of all workers, combined as if they were one process: counters and levels are added up; of dates, successes and facts the smallest counts. */
export class GatheredMetrics {
  readonly contentType = new AggregatorRegistry().contentType
  readonly #ask: () => Promise<readonly MetricsSnapshot[]>
  /** The counts of workers that have ended: a counter that falls would look like a new start. */
  #ended: Promise<MetricsSnapshot> = Promise.resolve(NO_METRICS)

  /** @param ask gets a snapshot of each worker that answers */
  constructor(ask: () => Promise<readonly MetricsSnapshot[]>) {
    this.#ask = ask
  }

  /** Prometheus's text format. */
  async text(): Promise<string> {
    const snapshots = [...(await this.#ask()), await this.#ended]
    return (await textOf(ofProcesses(snapshots))) + (await inSlices(addUp(snapshots.map(({ own }) => own))))
  }

  /** Keeps what a worker had counted when it ended. */
  keep(last: MetricsSnapshot): Promise<unknown> {
    // One after the other: each adds to what the one before has kept.
    this.#ended = this.#ended.then(async (before) => {
      const counted = last.process.filter(({ type }) => isCounting(String(type)))
      return {
        process: await ofProcesses([before, { process: counted, own: '' }]).getMetricsAsJSON(),
        own: await inSlices(addUp([before.own, last.own], isCounting)),
      }
    })
    return this.#ended
  }
}

function isCounting(type: string): boolean {
  return type === 'counter' || type === 'histogram'
}

function ofProcesses(snapshots: readonly MetricsSnapshot[]) {
  return AggregatorRegistry.aggregate(snapshots.map(({ process }) => process) as object[])
}
