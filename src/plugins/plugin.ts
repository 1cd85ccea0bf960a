/** One plugin and the calls to it: Docker's plugin protocol, version 1 (docs/extend/plugin_api.md of docker/cli). */
import { Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import { boundedRequest } from '../bounded-request.ts'
import type { PluginAddress } from './address.ts'

export interface PluginOptions {
  readonly name: string
  /**
   * Looks the address up; called again after each failure to reach the plugin.
   * @throws PluginAddressError
   */
  readonly find: () => PluginAddress
  /** Milliseconds for one call, from connecting to the last byte of the answer. */
  readonly timeout: number
  /** Bytes. */
  readonly maxAnswer: number
  /** For how many milliseconds a plugin that failed FAILURES times in a row is left alone. */
  readonly rest: number
}

/** The plugin is down, slow, or gives an unusable answer. `answered` where the plugin itself refused, with its own words. */
export class PluginError extends Error {
  readonly answered: boolean

  constructor(message: string, options: { cause?: unknown; answered?: boolean } = {}) {
    super(message, { cause: options.cause })
    this.name = 'PluginError'
    this.answered = options.answered ?? false
  }
}

/** After this many failed calls in a row, the plugin is left alone for a while. Docker would block each request for fifteen seconds. */
const FAILURES = 3
const ACCEPT = 'application/vnd.docker.plugins.v1.2+json'

interface Active {
  readonly address: PluginAddress
  readonly agent: HttpAgent | HttpsAgent
  readonly implements: readonly string[]
}

/** It is found, activated and called when it is first needed, and found again after it was lost. */
export class Plugin {
  readonly name: string
  readonly #options: PluginOptions
  #active: Promise<Active> | undefined
  #failures = 0
  #answers = 0
  #restsUntil = 0

  constructor(options: PluginOptions) {
    this.name = options.name
    this.#options = options
  }

  /**
   * The interfaces that it says it implements, as `ClientCertificateMapper`.
   * @throws PluginError
   */
  async implements(): Promise<readonly string[]> {
    return (await this.#activated()).implements
  }

  /** @returns the JSON object that it answers. @throws PluginError */
  async call(method: string, body: object): Promise<Record<string, unknown>> {
    const { address, agent } = await this.#activated()
    const answer = await this.#reached(() => this.#post(address, agent, method, `${JSON.stringify(body)}\n`))
    // Not counted at its activation: a plugin that only manages that is of no use.
    this.#answered()
    return answer
  }

  #answered(): void {
    this.#answers += 1
    this.#failures = 0
  }

  #activated(): Promise<Active> {
    if (performance.now() < this.#restsUntil) {
      throw new PluginError(`plugin ${this.name} failed ${FAILURES} times in a row and is left alone for a while`)
    }
    this.#active ??= this.#reached(() => this.#activate())
    return this.#active
  }

  async #activate(): Promise<Active> {
    const address = this.#options.find()
    const agent = agentOf(address)
    const { Implements: names } = await this.#post(address, agent, 'Plugin.Activate', '')
    if (!Array.isArray(names) || names.some((name) => typeof name !== 'string'))
      throw new PluginError(`plugin ${this.name} (${address.url}) does not say what it implements`)
    return { address, agent, implements: names }
  }

  /**
   * Counts calls that reach nobody. A plugin that answers, even with a refusal, has been reached; also where it answers others while this one waits, in
   * a crowd or because of what it asks: nobody else may suffer for that.
   */
  async #reached<T>(attempt: () => Promise<T>): Promise<T> {
    const before = this.#answers
    try {
      return await attempt()
    } catch (error) {
      if (error instanceof PluginError && error.answered) this.#answered()
      else if (this.#answers === before) {
        // The next one may listen elsewhere and implement something else. Other calls may still be answered.
        this.#active = undefined
        this.#failures += 1
        if (this.#failures >= FAILURES) this.#restsUntil = performance.now() + this.#options.rest
      }
      throw error instanceof PluginError
        ? error
        : new PluginError(`plugin ${this.name} cannot be asked: ${(error as Error).message}`, { cause: error })
    }
  }

  async #post(
    { target, tls }: PluginAddress,
    agent: HttpAgent | HttpsAgent,
    method: string,
    question: string,
  ): Promise<Record<string, unknown>> {
    const { timeout, maxAnswer: most } = this.#options
    const headers = { Accept: ACCEPT, Host: 'plugin.moby.localhost' }
    const post = { ...target, tls: tls !== undefined, agent, method: 'POST', path: `/${method}`, headers }
    const { status, body } = await boundedRequest(post, question, { timeout, most })
    return this.#answer(method, status, body.toString())
  }

  /** Only 200 is success, as in Docker. The plugin's own words are in `Err`, or are the whole answer. */
  #answer(method: string, status: number, text: string): Record<string, unknown> {
    const answer = parseObject(text)
    if (status !== 200 || (typeof answer?.Err === 'string' && answer.Err !== '')) {
      const words = typeof answer?.Err === 'string' ? answer.Err : text
      throw new PluginError(`${method}: ${words.slice(0, MOST_WORDS)}`, { answered: true })
    }
    if (!answer) throw new PluginError(`${method}: plugin ${this.name} did not answer with a JSON object`)
    return answer
  }
}

/** How long an idle connection to a plugin is kept, in milliseconds; also one of a configuration that is gone. */
const IDLE_TIME = 30_000

/** A plugin's words go into the log. */
const MOST_WORDS = 500

function agentOf({ tls }: PluginAddress): HttpAgent | HttpsAgent {
  const pool = { keepAlive: true, maxSockets: 64, maxFreeSockets: 4, timeout: IDLE_TIME }
  if (!tls) return new HttpAgent(pool)
  const { ca, cert, key } = tls
  return new HttpsAgent({
    ...pool,
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    minVersion: 'TLSv1.2',
    // Sessions of one plugin's address must never be offered to another.
    maxCachedSessions: 0,
  })
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined
  } catch {
    return undefined
  }
}
