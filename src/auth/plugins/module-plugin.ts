import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from 'node:worker_threads'
import { GatewayError } from '../../errors.ts'
import type { ModuleMessage, ModuleOrder } from './module-worker.ts'
import { PendingCalls } from './pending-calls.ts'
import { type Plugin, type PluginAnswer, type PluginCall, wordsOf } from './plugin.ts'

const SCRIPT = new URL(`./module-worker${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url)

export interface ModulePluginOptions {
  readonly path: string
  readonly settings: Readonly<Record<string, string>>
  /** Milliseconds that one answer, and the start, may take. */
  readonly timeout: number
  /** How many calls may wait for an answer; more are refused with 503. */
  readonly maxPending: number
  /** What the plugin prints, and why it ended. */
  readonly log: (message: string) => void
}

interface Pending {
  readonly resolve: (answer: PluginAnswer) => void
  readonly reject: (error: Error) => void
  readonly timer: NodeJS.Timeout
}

/**
 * A module in a thread of its own. A module that hangs is ended and started again: only its own callers notice. One that throws, runs out of memory
 * or calls process.exit() is started again for the next call.
 */
export class ModulePlugin implements Plugin {
  readonly #options: ModulePluginOptions
  readonly #calls: PendingCalls
  #thread: Thread | undefined
  #notBefore = 0

  constructor(options: ModulePluginOptions) {
    this.#options = options
    this.#calls = new PendingCalls(options.maxPending, () => {
      this.#thread?.retire()
      this.#thread = undefined
    })
  }

  ready(): Promise<void> {
    return this.#running().ready
  }

  ask(call: PluginCall): Promise<PluginAnswer> {
    return this.#calls.run(async () => {
      const thread = this.#running()
      await thread.ready
      return thread.ask(call)
    })
  }

  close(): void {
    this.#calls.close()
  }

  #running(): Thread {
    if (performance.now() < this.#notBefore) throw new GatewayError('GW_UNDECIDED', 'the plugin ended a moment ago')
    this.#thread ??= new Thread(this.#options, (thread) => {
      if (this.#thread !== thread) return
      this.#thread = undefined
      this.#notBefore = performance.now() + PAUSE
    })
    return this.#thread
  }
}

/** One life of the module. */
class Thread {
  readonly ready: Promise<void>
  readonly #options: ModulePluginOptions
  readonly #worker: Worker
  readonly #port: MessagePort
  readonly #ended: (thread: Thread) => void
  readonly #pending = new Map<number, Pending>()
  #settleReady: { resolve: () => void; reject: (error: Error) => void } = { resolve: () => {}, reject: () => {} }
  #lifeSign: NodeJS.Timeout | undefined
  #retiring = false
  #last = 0

  constructor(options: ModulePluginOptions, ended: (thread: Thread) => void) {
    const { path, settings, timeout, log } = options
    this.#options = options
    this.#ended = ended
    this.ready = new Promise((resolve, reject) => {
      this.#settleReady = { resolve, reject }
    })
    // Callers get the error; there may be none yet.
    this.ready.catch(() => {})
    const { port1, port2: port } = new MessageChannel()
    this.#port = port1
    this.#worker = new Worker(SCRIPT, {
      workerData: { path, settings, port },
      transferList: [port],
      name: 'method plugin',
      env: {},
      // Its output must not get mixed up with the log's own lines.
      stdout: true,
      stderr: true,
      resourceLimits: { maxOldGenerationSizeMb: 256, maxYoungGenerationSizeMb: 32 },
    })
    for (const stream of [this.#worker.stdout, this.#worker.stderr]) {
      stream.on('data', (text) => log(`printed: ${String(text).trimEnd().slice(0, 2000)}`))
    }
    this.#port.on('message', (message: ModuleMessage) => this.#heard(message))
    this.#port.unref()
    this.#worker.on('error', (error) => this.#gone(`broke: ${wordsOf(error)}`))
    this.#worker.on('exit', () => this.#gone('ended'))
    this.#expectLife(Math.max(timeout, START), 'did not start in time')
    this.#worker.unref()
  }

  ask(call: PluginCall): Promise<PluginAnswer> {
    const { timeout } = this.#options
    this.#last += 1
    const id = this.#last
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#tooLate(id), timeout)
      this.#pending.set(id, { resolve, reject, timer })
      this.#order({ kind: 'ask', id, call })
    })
  }

  /** Nobody waits for it. */
  retire(): void {
    this.#retiring = true
    void this.#worker.terminate()
  }

  #order(order: ModuleOrder): void {
    this.#port.postMessage(order)
  }

  #heard(message: ModuleMessage): void {
    switch (message.kind) {
      case 'ready':
        this.#alive()
        this.#settleReady.resolve()
        break
      case 'alive':
        this.#alive()
        break
      case 'unusable':
        this.#end(message.reason)
        break
      case 'answer':
        this.#take(message.id)?.resolve(answerIn(message.answer))
        break
      case 'broke':
        this.#take(message.id)?.reject(new Error(`the plugin threw: ${message.reason}`))
        break
    }
  }

  #take(id: number): Pending | undefined {
    const pending = this.#pending.get(id)
    clearTimeout(pending?.timer)
    this.#pending.delete(id)
    return pending
  }

  /** An answer is late. Either the plugin waits for something, or its whole thread hangs; a ping tells the two apart. */
  #tooLate(id: number): void {
    const { timeout } = this.#options
    this.#take(id)?.reject(new GatewayError('GW_UNDECIDED', `the plugin did not answer within ${timeout} ms`))
    if (this.#lifeSign) return
    this.#expectLife(timeout, 'hangs')
    this.#order({ kind: 'ping' })
  }

  #expectLife(milliseconds: number, otherwise: string): void {
    this.#lifeSign = setTimeout(() => this.#end(otherwise), milliseconds)
    this.#lifeSign.unref()
  }

  #alive(): void {
    clearTimeout(this.#lifeSign)
    this.#lifeSign = undefined
  }

  /** Its last messages may still arrive: the end of a thread overtakes messages on another channel. */
  #gone(reason: string): void {
    for (let last = receiveMessageOnPort(this.#port); last; last = receiveMessageOnPort(this.#port)) {
      this.#heard(last.message as ModuleMessage)
    }
    this.#end(reason)
  }

  #end(reason: string): void {
    this.#alive()
    this.#ended(this)
    if (!this.#retiring) this.#options.log(reason)
    this.#retiring = true
    const error = new GatewayError('GW_UNDECIDED', `the plugin ${reason}`)
    this.#settleReady.reject(new Error(reason))
    for (const id of [...this.#pending.keys()]) this.#take(id)?.reject(error)
    void this.#worker.terminate()
  }
}

/** The text may be anything: a plugin may have replaced what its thread writes JSON with. */
function answerIn(text: string): PluginAnswer {
  try {
    return JSON.parse(text) as PluginAnswer
  } catch {
    return { kind: 'unusable', reason: 'answered with what is no JSON' }
  }
}

/** Milliseconds before the next start: clients must not make a thread start with each request. */
const PAUSE = 1000
/** Milliseconds that loading a module may take at least: the machine may be busy while everything starts. */
const START = 10_000
