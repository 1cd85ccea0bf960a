import type { Balancer, Target } from '../types.ts'

/**
 * Smooth weighted round robin, as nginx's: of targets weighing 5, 1, 1 the first is picked five times in seven, never five times in a row.
 * Targets that weigh 0 are never picked, as Kong has it.
 */
export function createRoundRobin(targets: readonly Target[]): Balancer {
  const entries = targets.filter((target) => target.weight > 0).map((target) => ({ target, current: 0 }))
  const only = entries.length === 1 ? entries[0]?.target : undefined
  return {
    pick(tried) {
      if (only) return tried.has(only) ? undefined : only
      const open = entries.filter(({ target }) => !tried.has(target))
      let best: (typeof open)[number] | undefined
      let total = 0
      for (const entry of open) {
        entry.current += entry.target.weight
        total += entry.target.weight
        if (!best || entry.current > best.current) best = entry
      }
      if (best) best.current -= total
      return best?.target
    },
  }
}
