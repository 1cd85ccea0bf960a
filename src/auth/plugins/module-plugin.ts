import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from 'node:worker_threads'
import { GatewayError } from '../../errors.ts'
import type { ModuleMessage, ModuleOrder } from './module-worker.ts'
import { type Plugin, type PluginAnswer, type PluginCall, wordsOf } from './plugin.ts'

const SCRIPT = new URL(`./module-worker${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url)

export interface ModulePluginOptions {
  readonly path: string
  readonly settings: Readonly<Record<string, string>>
  /** Milliseconds that one answer, and the start, may take. */
  readonly timeout: number
  /** How many answers may be waited for at once; more are refused with 503. */
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
 * A module in a thread of its own. One that hangs is ended and started anew, so that it costs those who wait for it and nobody else; one that
 * throws, runs out of memory or calls process.exit() is started anew when it is next asked.
 */
export class ModulePlugin implements Plugin {
  readonly #options: ModulePluginOptions
  #thread: Thread | undefined
  #closed = false
  #asked = 0
  #notBefore = 0

  constructor(options: ModulePluginOptions) {
    this.#options = options
  }

  ready(): Promise<void> {
    return this.#running().ready
  }

  async ask(call: PluginCall): Promise<PluginAnswer> {
    const { maxPending } = this.#options
    if (this.#asked >= maxPending) {
      throw new GatewayError('GW_OVERLOADED', `${maxPending} answers of the plugin are waited for (max_pending)`)
    }
    this.#asked += 1
    try {
      const thread = this.#running()
      await thread.ready
      return await thread.ask(call)
    } finally {
      this.#asked -= 1
      this.#holdNothing()
    }
  }

  close(): void {
    this.#closed = true
    this.#holdNothing()
  }

  #holdNothing(): void {
    if (!this.#closed || this.#asked > 0) return
    this.#thread?.retire()
    this.#thread = undefined
  }

  #running(): Thread {
    if (Date.now() < this.#notBefore) throw new GatewayError('GW_UNDECIDED', 'the plugin ended a moment ago')
    this.#thread ??= new Thread(this.#options, (thread) => {
      if (this.#thread !== thread) return
      this.#thread = undefined
      this.#notBefore = Date.now() + PAUSE
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
    // Whoever asks learns of it; nobody may be there yet.
    this.ready.catch(() => {})
    const { port1, port2: port } = new MessageChannel()
    this.#port = port1
    this.#worker = new Worker(SCRIPT, {
      workerData: { path, settings, port },
      transferList: [port],
      name: 'method plugin',
      env: {},
      // What it prints must not run into the log's own lines.
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

  /** One answer is late: either it waits for something, or the whole thread hangs, which a sign of life tells apart. */
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

  /** What it said last may still be on its way: the end of a thread overtakes messages through another channel. */
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

/** A plugin may have changed what its thread writes JSON with. */
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
