/** What a run of the bench came to: a JSON file, a picture, and a comparison with the run that was committed last. */
import { medians, metrics, type Samples, spread } from './table.ts'

export interface Result {
  readonly date: string
  readonly machine: string
  readonly rounds: number
  readonly sizes: Readonly<Record<string, number>>
  readonly versions: Readonly<Record<string, string>>
  readonly medians: Readonly<Record<string, Readonly<Record<string, number>>>>
  /** Half of what lies between the lowest and the highest sample, as a part of the median. */
  readonly spreads: Readonly<Record<string, Readonly<Record<string, number>>>>
  readonly samples: Readonly<Record<string, Readonly<Record<string, readonly number[]>>>>
}

export function resultOf(
  samples: Samples,
  run: Pick<Result, 'date' | 'machine' | 'rounds' | 'versions'> & { sizes: object },
): Result {
  const byMetric = <T>(of: (values: readonly number[]) => T) =>
    Object.fromEntries(
      [...samples].map(([metric, byGateway]) => [
        metric,
        Object.fromEntries([...byGateway].map(([gateway, values]) => [gateway, of(values)])),
      ]),
    )
  return {
    ...run,
    sizes: { ...run.sizes },
    medians: medians(samples),
    spreads: byMetric(spread),
    samples: byMetric((values) => values),
  }
}

/** Ratios that differ by less are noise, on a machine that does something else too. */
const NOISE = 0.1

/** What got worse since `before`: Sallyport's ratio to nginx, by more than noise and both runs' own spread. Only ratios can be compared. */
export function gotWorse(before: Result, now: Result): string[] {
  return metrics.flatMap(({ key, label, more, aside }) => {
    if (aside) return []
    const [then, today] = [ratioOf(before, key), ratioOf(now, key)]
    if (then === undefined || today === undefined) return []
    const change = more ? then.ratio / today.ratio - 1 : today.ratio / then.ratio - 1
    if (change <= Math.max(NOISE, then.spread, today.spread)) return []
    return [`${label}: ${today.ratio.toFixed(2)} × nginx, was ${then.ratio.toFixed(2)}`]
  })
}

function ratioOf(result: Result, metric: string): { ratio: number; spread: number } | undefined {
  const { nginx, sallyport } = result.medians[metric] ?? {}
  if (!nginx || !sallyport) return undefined
  const { nginx: one = 0, sallyport: other = 0 } = result.spreads[metric] ?? {}
  return { ratio: sallyport / nginx, spread: one + other }
}
