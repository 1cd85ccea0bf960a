/** One address of an upstream. */
export interface Target {
  readonly name: string
  readonly host: string
  readonly port: number
  /** The path of a Unix socket, in place of host and port. */
  readonly socket?: string | undefined
  readonly weight: number
}

/** Chooses the target of one attempt. `tried` are those that have failed already; undefined where none is left. */
export interface Balancer {
  pick(tried: ReadonlySet<Target>): Target | undefined
}

/** Targets of one weight that take turns. */
interface Group {
  readonly weight: number
  readonly targets: readonly Target[]
  /** Whose turn it is. */
  next: number
  current: number
}

/** Up to this many targets, each is a group of its own. A pick looks at all groups; with thousands that would cost more than the request. */
const MOST_GROUPS = 100

/**
 * Smooth weighted round robin, as nginx's: of targets with weights 5, 1, 1 the first is picked five times in seven, but never five times in a row.
 * Targets with weight 0 are never picked, as in Kong. Where there are very many, those of equal weight are picked as one group with the sum of their
 * weights.
 */
export function createRoundRobin(targets: readonly Target[]): Balancer {
  const usable = targets.filter(({ weight }) => weight > 0)
  const only = usable.length === 1 ? usable[0] : undefined
  const together = usable.length > MOST_GROUPS ? [...Map.groupBy(usable, ({ weight }) => weight).values()] : undefined
  const groups = (together ?? usable.map((target) => [target])).map(groupOf)
  return {
    pick(tried) {
      if (only) return tried.has(only) ? undefined : only
      let best: Group | undefined
      let total = 0
      for (const group of groups) {
        const open = group.targets.length - (tried.size === 0 ? 0 : triedOf(group, tried))
        if (open === 0) continue
        group.current += group.weight * open
        total += group.weight * open
        if (!best || group.current > best.current) best = group
      }
      if (!best) return undefined
      best.current -= total
      return nextOf(best, tried)
    },
  }
}

function groupOf(targets: readonly Target[]): Group {
  return { weight: targets[0]?.weight ?? 0, targets, next: 0, current: 0 }
}

function triedOf({ targets }: Group, tried: ReadonlySet<Target>): number {
  if (targets.length <= tried.size) return targets.filter((target) => tried.has(target)).length
  let count = 0
  for (const target of tried) if (targets.includes(target)) count += 1
  return count
}

/** One of them has not been tried. */
function nextOf(group: Group, tried: ReadonlySet<Target>): Target | undefined {
  const { targets } = group
  for (let left = targets.length; left > 0; left--) {
    const target = targets[group.next]
    group.next = (group.next + 1) % targets.length
    if (target && !tried.has(target)) return target
  }
  return undefined
}
