import type { AddressInfo } from 'node:net'
import { Admin } from '../admin/admin.ts'
import type { Readiness } from '../admin/server.ts'
import { type LoadedConfig, type LoadOptions, loadConfigBeside, waitingForStart } from '../config/index.ts'
import { ConfigError, describeProblem, type Problem } from '../errors.ts'
import { FileWatch } from '../file-watch/file-watch.ts'
import type { Log } from '../log/log.ts'
import { createMetrics, type Metrics } from '../metrics/metrics.ts'
import { buildInfo } from '../process/build-info.ts'
import { collectAfter, collectLate, keepShapeOfTicks } from '../process/garbage.ts'
import { watchOpenFiles } from '../process/open-files-watch.ts'
import { createLasting, type Lasting, type Shared } from '../runtime/lasting.ts'
import { buildRuntime, buildRuntimeBeside, type Runtime } from '../runtime/runtime.ts'
import { SerialQueue } from '../serial-queue.ts'
import { BoundListeners } from './bound-listeners.ts'

export interface ServerOptions {
  /** Where the configuration comes from, at the start and on each reload. */
  readonly load: LoadOptions
  readonly log: Log
  /** Set where several workers serve together: then the supervisor watches the files and runs the admin listener. */
  readonly shared?: Shared
}

/** The running gateway: starts and stops its listeners and the admin listener, reloads, and drains without losing a request. */
export class Server {
  readonly #options: ServerOptions
  readonly #log: Log
  readonly #metrics: Metrics = createMetrics()
  readonly #lasting: Lasting
  readonly #listeners: BoundListeners
  readonly #files = new FileWatch(() => void this.reload('files changed'))
  #runtime: Runtime | undefined
  #started: Runtime['config'] | undefined
  readonly #admin: Admin
  readonly #reloads = new SerialQueue()
  #draining = false

  constructor(options: ServerOptions) {
    this.#options = options
    this.#log = options.log
    this.#admin = new Admin({ metrics: this.#metrics, ready: () => this.#readiness(), log: options.log })
    this.#lasting = createLasting(options.log, this.#metrics, options.shared)
    const slots = this.#lasting.openFiles.clients
    this.#listeners = new BoundListeners({ log: options.log, metrics: this.#metrics, slots })
    this.#lasting.listFetcher.onReplaced = () => void collectAfter(this.#listeners.judgeAgain())
  }

  /** The ports where clients and probes can connect. */
  get addresses(): { readonly https: readonly AddressInfo[]; readonly admin: AddressInfo | undefined } {
    return { https: this.#listeners.ports, admin: this.#admin.port }
  }

  /** Everything that was counted, for the supervisor of several workers. */
  snapshot(): ReturnType<Metrics['snapshot']> {
    return this.#metrics.snapshot()
  }

  /** @throws ConfigError with all problems; Error where an address cannot be listened on */
  async start(loaded: LoadedConfig): Promise<void> {
    // A file may change while it starts, which then is not over: the reload waits for it.
    this.#watch(loaded)
    try {
      await this.#reloads.run('start', () => this.#start(loaded))
    } catch (error) {
      this.#files.stop()
      throw error
    }
  }

  async #start(loaded: LoadedConfig): Promise<true> {
    this.#log.info(buildInfo, 'starting')
    collectLate()
    keepShapeOfTicks()
    watchOpenFiles(this.#log, () => this.#metrics.openFilesExhausted())
    await this.#lasting.revocationFiles.prepare(loaded)
    const runtime = buildRuntime(loaded, this.#lasting)
    await orClose(runtime, async () => {
      await runtime.ready()
      this.#report(runtime.warnings)
      await this.#listeners.bind(runtime, () => this.#draining)
      if (!this.#options.shared) await this.#startAdmin(runtime)
    })
    void this.#use(runtime, loaded)
    this.#started = runtime.config
    this.#metrics.reloaded(true)
    this.#log.info({ listeners: this.#listeners.size, services: runtime.config.services.length }, 'ready')
    return true
  }

  /**
   * Reads the configuration again. Where anything is wrong with it, what was in use stays in use and the log says why. Resolves to whether it was
   * taken.
   */
  reload(reason: string): Promise<boolean> {
    if (this.#draining) return Promise.resolve(false)
    return this.#reloads.run(reason, () => this.#reload(reason))
  }

  /**
   * Readiness fails first, then no connection is accepted any more, then what is in flight may finish. Resolves to false
   * where the time limit cut something off.
   */
  async stop(): Promise<boolean> {
    this.#draining = true
    this.#files.stop()
    // A reload under way gives up as soon as it can. What it waits for, such as a plugin or a large file, may take longer than a stop may.
    await Promise.race([this.#reloads.idle, sleep(RELOAD_TIME)])
    const { delay, timeout } = this.#runtime?.config.shutdown ?? { delay: 0, timeout: 0 }
    this.#log.info({ delay_ms: delay, timeout_ms: timeout }, 'draining')
    await sleep(delay)
    const left = this.#listeners.leave().then(() => true)
    const finished = await Promise.race([left, sleep(timeout).then(() => false)])
    if (!finished) {
      const connections = this.#listeners.left
      this.#log.warn({ connections }, 'shutdown.timeout is over: cutting the connections that are left')
      this.#listeners.destroy('shutdown.timeout is over')
      await this.#untilRecorded()
    }
    this.#lasting.pools.retireAllBut(new Set())
    this.#lasting.store?.close()
    this.#admin.close()
    this.#log.info({ finished }, 'stopped')
    await this.#log.flush()
    return finished
  }

  /** The requests whose connections were just cut off have yet to be logged and counted. */
  async #untilRecorded(): Promise<void> {
    const latest = performance.now() + RECORD_TIME
    while (this.#metrics.requestsInFlight.value > 0 && performance.now() < latest) {
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  }

  async #reload(reason: string): Promise<boolean> {
    if (this.#draining) return false
    let judged: Promise<void> | undefined
    try {
      const loaded = await loadConfigBeside(this.#options.load)
      // From now on: what changes while it is being built would go unnoticed. Files that are missing or wrong are watched too: mending them is enough.
      this.#watch(loaded)
      await this.#lasting.revocationFiles.prepare(loaded)
      const runtime = await buildRuntimeBeside(loaded, this.#lasting)
      await orClose(runtime, async () => {
        await runtime.ready()
        await this.#listeners.bind(runtime, () => this.#draining)
      })
      this.#report(runtime.warnings)
      judged = this.#use(runtime, loaded)
      this.#listeners.reportGoneSockets()
      if (this.#started && !this.#options.shared) {
        this.#report(waitingForStart(this.#started, loaded))
        await this.#admin.move(runtime.config.admin.listen)
      }
      this.#metrics.reloaded(true)
      this.#log.info({ reason }, 'reloaded')
      return true
    } catch (error) {
      this.#metrics.reloaded(false)
      const problems = error instanceof ConfigError ? error.problems.map(describeProblem) : [String(error)]
      this.#log.error({ reason, problems }, 'reload refused: the configuration in use was kept')
      return false
    } finally {
      void collectAfter(judged)
    }
  }

  /** Resolves when open connections have been judged by it. */
  #use(runtime: Runtime, loaded: LoadedConfig): Promise<void> {
    runtime.commit()
    this.#runtime = runtime
    this.#log.setLevel(runtime.config.log.level)
    this.#metrics.namesInUse([...runtime.config.routes, ...runtime.config.services].map(({ name }) => name))
    this.#listeners.use(runtime)
    const judged = this.#listeners.judgeAgain()
    this.#watch(loaded)
    return judged
  }

  async #startAdmin({ config }: Runtime): Promise<void> {
    await this.#admin.start(config.admin.listen).catch((error) => {
      // A process that still listens would not end.
      void this.#listeners.leave()
      throw error
    })
  }

  #readiness(): Readiness {
    if (this.#draining) return { ready: false, reasons: ['draining'] }
    return this.#runtime ? { ready: true, reasons: [] } : { ready: false, reasons: ['starting'] }
  }

  #report(warnings: readonly Problem[]): void {
    for (const warning of warnings) this.#log.warn({ setting: warning.path }, describeProblem(warning))
  }

  #watch(loaded: LoadedConfig): void {
    const { reload } = this.#runtime?.config ?? loaded.config ?? {}
    const watches = reload?.watch === true && !this.#draining && !this.#options.shared
    this.#files.watch(watches ? loaded.files : [])
  }
}

/** Closes a runtime that cannot be used: the threads of its plugins would otherwise live as long as the process. */
async function orClose(runtime: Runtime, step: () => Promise<void>): Promise<void> {
  try {
    await step()
  } catch (error) {
    runtime.close()
    throw error
  }
}

/** How long a stop waits for a reload that is under way, in milliseconds. */
const RELOAD_TIME = 1000
/** The same for the records of requests that were cut off: one that waits for a plugin does not notice its end. */
const RECORD_TIME = 1000

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds).unref())
}
