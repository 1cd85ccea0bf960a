/** Whether anything of the gateway grows: samples over time, and a judgement of their trend. */
import { factsOf, workersOf } from './process-facts.ts'
import type { Scene } from './scene.ts'

/** One reading of everything; what there is only one of for all workers is theirs together. */
export type Sample = Readonly<Record<string, number>>

interface Series {
  readonly name: string
  /** Memory is judged by its lowest readings, those after a collection; what is counted by its middle. */
  readonly kind: 'memory' | 'count'
}

const SERIES: readonly Series[] = [
  { name: 'RSS of the workers, MB', kind: 'memory' },
  { name: 'RSS of the supervisor, MB', kind: 'memory' },
  { name: 'heap in use, MB', kind: 'memory' },
  { name: 'external memory, MB', kind: 'memory' },
  { name: 'file descriptors', kind: 'count' },
  { name: 'sockets', kind: 'count' },
  { name: 'handles', kind: 'count' },
  { name: 'connections open', kind: 'count' },
]

/** What may be more at the end of a run without being growth: a tenth, and a little for the chance in what was under way. */
const SHARE = 0.1
const SLACK = { memory: 6, count: 12 } as const

export async function takeSample({ gateway, adminPort }: Scene): Promise<Sample> {
  const supervisor = factsOf(gateway.pid)
  const workers = workersOf(gateway.pid).map(factsOf)
  const sum = (fact: keyof typeof supervisor) => workers.reduce((total, worker) => total + worker[fact], 0)
  const metrics = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text()
  const metric = (name: string) => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(metrics)?.[1])
  return {
    'RSS of the workers, MB': sum('residentMb'),
    'RSS of the supervisor, MB': supervisor.residentMb,
    'heap in use, MB': metric('nodejs_heap_size_used_bytes') / 1e6,
    'external memory, MB': metric('nodejs_external_memory_bytes') / 1e6,
    'file descriptors': supervisor.fileDescriptors + sum('fileDescriptors'),
    sockets: supervisor.sockets + sum('sockets'),
    handles: metric('nodejs_active_handles_total'),
    'connections open': metric('sallyport_connections_open'),
  }
}

export interface Trend {
  readonly name: string
  readonly early: number
  readonly late: number
  readonly grew: boolean
}

/** Compares the first third of the samples with the last. RSS is shown but not judged where the processes had less than five minutes to be warm. */
export function trendsOf(samples: readonly Sample[], warm: boolean): Trend[] {
  const third = Math.max(1, Math.floor(samples.length / 3))
  return SERIES.map(({ name, kind }) => {
    const level = (part: readonly Sample[]) => {
      const values = part.map((sample) => sample[name] ?? Number.NaN).sort((a, b) => a - b)
      return values[Math.floor(values.length * (kind === 'memory' ? 0.1 : 0.5))] ?? Number.NaN
    }
    const early = level(samples.slice(0, third))
    const late = level(samples.slice(-third))
    return {
      name,
      early,
      late,
      grew: (warm || !name.startsWith('RSS')) && !(late <= early * (1 + SHARE) + SLACK[kind]),
    }
  })
}
