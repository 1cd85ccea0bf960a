/** Several processes that serve one configuration as one gateway. */
import cluster from 'node:cluster'
import { randomBytes } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { Admin } from '../admin/admin.ts'
import { type LoadedConfig, type LoadOptions, loadConfigBeside, waitingForStart, withSecrets } from '../config/index.ts'
import { describeProblem } from '../errors.ts'
import { FileWatch } from '../file-watch/file-watch.ts'
import type { Log } from '../log/log.ts'
import type { MetricsSnapshot } from '../metrics/metrics.ts'
import { buildInfo } from '../process/build-info.ts'
import { collectSoon } from '../process/garbage.ts'
import { watchOpenFiles } from '../process/open-files-watch.ts'
import { SerialQueue } from '../serial-queue.ts'
import { CommonKnowledge } from './common-knowledge.ts'
import { GatheredMetrics } from './gathered-metrics.ts'
import { Member } from './member.ts'
import type { FromWorker } from './messages.ts'
import { Questions } from './questions.ts'
import { send } from './send.ts'
import { untilServing } from './until-serving.ts'

export interface SupervisorOptions {
  readonly load: LoadOptions
  readonly log: Log
  readonly workers: number
}

/** How long a worker may take to answer before it is passed over, in milliseconds: one that hangs must not hold up a reload. */
const ANSWER_TIME = 10_000
/** The same for a scrape: Prometheus waits no longer than ten seconds. A worker that is late is shown with its counts of the last scrape. */
const SNAPSHOT_TIME = 2000
/** How long a worker may take until it serves, in milliseconds. Hundreds of megabytes of revocation lists take it a minute. */
const START_TIME = 300_000
/** When a worker that ended had not lived for long, in milliseconds. */
const SHORT_LIFE = 1000
/** A worker that cannot be started is tried again after twice as long each time, and so long at most, in milliseconds. */
const LONGEST_PAUSE = 10_000
/**
 * Starts the workers, replaces those that die, and passes on reloads and the stop. Connections are accepted here and passed to the workers in turn
 * (node:cluster's round robin). With SO_REUSEPORT each worker would have a socket of its own, and when it ends the kernel resets the connections that
 * wait in that socket's queue. Here nothing is lost when workers are replaced.
 */
export class Supervisor {
  readonly #options: SupervisorOptions
  readonly #log: Log
  readonly #members = new Set<Member>()
  readonly #questions = new Questions()
  readonly #knowledge = new CommonKnowledge()
  /** The same for all workers. */
  readonly #shared = { ticketSecret: randomBytes(32).toString('hex'), startedAt: Date.now() }
  readonly #metrics = new GatheredMetrics(() => this.#snapshots())
  readonly #files = new FileWatch(() => void this.reload('files changed'))
  #started: LoadedConfig['config']
  #inUse: LoadedConfig['config']
  /** How many reloads have begun. */
  #reloads = 0
  readonly #tasks = new SerialQueue()
  #watches = true
  readonly #admin: Admin
  #draining = false

  constructor(options: SupervisorOptions) {
    this.#options = options
    this.#log = options.log
    this.#admin = new Admin({ metrics: this.#metrics, ready: () => this.#readiness(), log: options.log })
    cluster.schedulingPolicy = cluster.SCHED_RR
    // SIGUSR1 must never open a debugger, from the first moment on (see bin/sallyport.js).
    const execArgv = [...process.execArgv, '--disable-sigusr1']
    // What a worker writes to standard error needs nobody in between, who would have to do something with what cannot be written.
    cluster.setupPrimary({ stdio: ['ignore', 'pipe', 'inherit', 'ipc'], serialization: 'advanced', execArgv })
    // One that hangs does not notice that its supervisor is gone.
    process.once('exit', killAll)
  }

  get addresses(): { readonly https: readonly AddressInfo[]; readonly admin: AddressInfo | undefined } {
    const [member] = this.#members
    return { https: member?.addresses ?? [], admin: this.#admin.port }
  }

  /** @throws ConfigError with all problems */
  async start(loaded: LoadedConfig): Promise<void> {
    // A file may change while they start, which then is not over: the reload waits for them.
    this.#watch(loaded)
    try {
      await this.#tasks.run('start', () => this.#start(loaded))
    } catch (error) {
      this.#draining = true
      this.#files.stop()
      killAll()
      throw error
    }
  }

  async #start(loaded: LoadedConfig): Promise<true> {
    this.#log.info(buildInfo, 'starting')
    watchOpenFiles(this.#log)
    this.#knowledge.apply(loaded)
    // One alone first: if it cannot start, the others could not either, and each problem is reported once.
    await this.#add()
    await Promise.all(Array.from({ length: this.#options.workers - 1 }, () => this.#add()))
    if (loaded.config) await this.#admin.start(loaded.config.admin.listen)
    this.#started = loaded.config
    this.#inUse = loaded.config
    this.#log.info({ workers: this.#members.size }, 'ready')
    return true
  }

  /** Resolves to whether the configuration was taken. */
  reload(reason: string): Promise<boolean> {
    return this.#tasks.run(reason, async () => {
      if (this.#draining) return false
      this.#reloads += 1
      const loaded = await loadConfigBeside(this.#options.load)
      // Before the workers read them: what changes meanwhile is news.
      this.#watch(loaded)
      const taken = await this.#reloadWorkers(reason)
      if (taken) await this.#apply(loaded)
      collectSoon()
      return taken
    })
  }

  /**
   * Reloads one worker after the other. Where the first refuses, the others keep their configuration too. Where a later one does, as it alone cannot
   * open one more file, a new worker takes its place. One that does not answer is passed over.
   */
  async #reloadWorkers(reason: string): Promise<boolean> {
    let taken = false
    const refusing: Member[] = []
    for (const member of this.#active()) {
      // One that has died meanwhile answers nothing; whoever takes its place reads the files as they are now.
      if (!this.#members.has(member)) continue
      const answer = await this.#questions.ask(member.worker, (id) => ({ kind: 'reload', id, reason }), ANSWER_TIME)
      if (answer?.kind !== 'reloaded')
        this.#log.error({ worker: member.worker.id, reason }, 'a worker does not say whether it has reloaded')
      else if (answer.accepted) taken = true
      else if (taken) refusing.push(member)
      else return false
    }
    for (const member of refusing) {
      this.#log.warn({ worker: member.worker.id }, 'a worker refuses what another has taken: a new one takes its place')
      if (!(await this.#succeed(member))) break
    }
    return taken
  }

  /** Starts a new worker for each that serves now, with the program that is on disk by then. */
  replaceAll(): Promise<boolean> {
    return this.#tasks.run('replace', async () => {
      for (const member of this.#active()) if (!(await this.#succeed(member))) return false
      if (this.#draining) return false
      this.#log.info({ workers: this.#active().length }, 'all workers were replaced')
      return true
    })
  }

  /** Starts a new worker in place of one, which drains once the new one serves. Resolves to whether it serves. */
  async #succeed(member: Member): Promise<boolean> {
    if (this.#draining) return false
    try {
      const successor = await this.#add()
      // Another one takes the place of a worker that has died.
      this.#dismiss(this.#members.has(member) ? member : successor)
      return true
    } catch (error) {
      this.#log.error({ err: error }, 'a new worker did not start: the old ones were kept')
      return false
    }
  }

  /** Resolves to false where a worker had to cut something off. */
  async stop(): Promise<boolean> {
    this.#draining = true
    this.#files.stop()
    const members = [...this.#members]
    const ends = members.map(({ worker }) => new Promise((resolve) => worker.once('exit', resolve)))
    for (const member of members) this.#dismiss(member)
    await Promise.all(ends)
    this.#admin.close()
    await this.#log.flush()
    return members.every(({ finished }) => finished)
  }

  async #apply(loaded: LoadedConfig): Promise<void> {
    this.#knowledge.apply(loaded)
    if (!loaded.config || !this.#started) return
    this.#inUse = loaded.config
    this.#log.setLevel(loaded.config.log.level)
    for (const warning of waitingForStart(this.#started, loaded))
      this.#log.warn({ setting: warning.path }, describeProblem(warning))
    await this.#admin.move(loaded.config.admin.listen)
  }

  #active(): Member[] {
    return [...this.#members].filter(({ leaving }) => !leaving)
  }

  #dismiss(member: Member): void {
    const { delay, timeout } = this.#inUse?.shutdown ?? { delay: 0, timeout: 0 }
    member.dismiss(delay + timeout)
  }

  /** @throws what `untilServing` throws */
  async #add(): Promise<Member> {
    const reloads = this.#reloads
    const member = new Member(this.#log)
    const { worker } = member
    worker.on('message', (message: FromWorker) => this.#heard(member, message))
    const { file, env, overrides } = this.#options.load
    const load = { file, env: { ...withSecrets(env) }, overrides }
    const { workers } = this.#options
    const folder = process.cwd()
    send(worker, { kind: 'start', load, folder, workers, ...this.#shared, soFar: this.#knowledge.soFar })
    try {
      member.addresses = await untilServing(worker, START_TIME)
    } catch (error) {
      worker.process.kill('SIGKILL')
      throw error
    }
    this.#members.add(member)
    worker.once('exit', (code, signal) => this.#ended(member, signal ?? code))
    // A stop or a reload that came meanwhile did not know of this worker.
    if (this.#draining) this.#dismiss(member)
    else if (this.#reloads !== reloads) void this.reload('a worker has started meanwhile')
    return member
  }

  #heard(member: Member, message: FromWorker): void {
    if (message.kind === 'ended') {
      Object.assign(member, { finished: message.finished, metrics: message.metrics })
      send(member.worker, { kind: 'exit' })
    } else if (message.kind === 'store' || message.kind === 'intermediate' || message.kind === 'fetched') {
      this.#knowledge.heard(message, member.worker)
    } else if ('id' in message) this.#questions.answered(message.id, message)
  }

  #ended(member: Member, how: string | number): void {
    this.#members.delete(member)
    void this.#metrics.keep(member.metrics)
    if (member.leaving || this.#draining) return
    this.#log.error({ worker: member.worker.id, how }, 'a worker ended: another one takes its place')
    setTimeout(() => this.#replace(), pauseAfter(Date.now() - member.startedAt))
  }

  #replace(pause = SHORT_LIFE): void {
    if (this.#draining) return
    this.#add().catch((error: unknown) => {
      this.#log.error({ err: error }, 'a worker could not be replaced; it is tried again')
      setTimeout(() => this.#replace(Math.min(pause * 2, LONGEST_PAUSE)), pause)
    })
  }

  async #snapshots(): Promise<readonly MetricsSnapshot[]> {
    const members = [...this.#members]
    await Promise.all(
      members.map(async (member) => {
        const answer = await this.#questions.ask(member.worker, (id) => ({ kind: 'metrics', id }), SNAPSHOT_TIME)
        if (answer?.kind === 'metrics') member.metrics = answer.metrics
      }),
    )
    // The counts of one that has ended meanwhile are kept already.
    return members.filter((member) => this.#members.has(member)).map(({ metrics }) => metrics)
  }

  #readiness() {
    if (this.#draining) return { ready: false, reasons: ['draining'] }
    return this.#active().length > 0 ? { ready: true, reasons: [] } : { ready: false, reasons: ['no worker serves'] }
  }

  /** Watches the files of the configuration that was read last, even a refused one: mending them is then enough. */
  #watch(loaded: LoadedConfig): void {
    this.#watches = loaded.config?.reload.watch ?? this.#watches
    this.#files.watch(this.#watches && !this.#draining ? loaded.files : [])
  }
}

function killAll(): void {
  for (const worker of Object.values(cluster.workers ?? {})) worker?.process.kill('SIGKILL')
}

/** How long to wait before another one takes the place of a worker that lived so long, in milliseconds: one that cannot live must not keep the machine busy. */
export function pauseAfter(lived: number): number {
  return lived < SHORT_LIFE ? SHORT_LIFE : 0
}
