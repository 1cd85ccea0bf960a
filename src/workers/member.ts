import cluster, { type Worker } from 'node:cluster'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import type { Log } from '../log/log.ts'
import type { MetricsSnapshot } from '../metrics/metrics.ts'
import { NO_METRICS } from './gathered-metrics.ts'
import { send } from './send.ts'

/** How much longer than `shutdown` says a worker may take to end, in milliseconds. It waits for a reload, and for whoever reads its log, for a second each. */
const END_TIME = 5000
/** Node's longest timer, in milliseconds: a longer one is over at once. */
const LONGEST_TIMER = 2 ** 31 - 1
/**
 * The arenas of glibc's malloc: one for the serving thread, one for V8's threads. With more, memory that V8's compiler needed briefly would stay
 * allocated (docs/performance-log.md, "Memory").
 */
const ARENAS = '2'
/** OpenSSL's configuration, unless the environment names another one. */
const OPENSSL_CONFIGURATION = fileURLToPath(new URL('../../conf/openssl.cnf', import.meta.url))

/** A worker as the supervisor knows it: its process, from the fork to its end. */
export class Member {
  readonly worker: Worker
  readonly startedAt = Date.now()
  addresses: readonly AddressInfo[] = []
  /** It was told to stop, so its end is expected. */
  leaving = false
  finished = false
  /** Its counts when it was last asked. */
  metrics: MetricsSnapshot = NO_METRICS
  readonly #log: Log

  /** @param log gets what the process logs */
  constructor(log: Log) {
    const { MALLOC_ARENA_MAX = ARENAS, OPENSSL_CONF = OPENSSL_CONFIGURATION } = process.env
    this.worker = cluster.fork({ MALLOC_ARENA_MAX, OPENSSL_CONF })
    this.#log = log
    this.#relay()
  }

  /** @param patience how long it may take, in milliseconds; then it is killed */
  dismiss(patience: number): void {
    const { worker } = this
    this.leaving = true
    send(worker, { kind: 'stop' })
    const kill = () => {
      this.#log.error({ worker: worker.id }, 'a worker does not stop: it was killed')
      worker.process.kill('SIGKILL')
    }
    const timer = setTimeout(kill, Math.min(patience + END_TIME, LONGEST_TIMER))
    worker.once('exit', () => clearTimeout(timer))
  }

  /** Passes on whole lines only: parts of lines from two processes would be mixed up. */
  #relay(): void {
    let rest = ''
    this.worker.process.stdout?.setEncoding('utf8').on('data', (text: string) => {
      const end = text.lastIndexOf('\n') + 1
      if (end > 0) this.#log.relay(rest + text.slice(0, end))
      rest = end > 0 ? text.slice(end) : rest + text
    })
  }
}
