/** What happens to the gateway and to a target while the traffic goes on. Each of these runs until it is told to stop. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { GatewayLog } from './gateway-log.ts'
import type { Ledger } from './ledger.ts'
import { workersOf } from './process-facts.ts'
import type { Scene } from './scene.ts'

const RELOAD_EVERY_MS = 10_000
const ALIVE_MS = 14_000
const DEAD_MS = 5_000
/** How long after the death of a target what was under way to it may still be told. */
const DEATH_IS_FELT_MS = 3_000
/** A reload waits its turn behind the replacement of workers, which takes seconds where the machine is busy. */
const RELOAD_LIMIT_S = 60
const REPLACEMENT_LIMIT_S = 60

export class Events {
  readonly #scene: Scene
  readonly #log: GatewayLog
  readonly #ledger: Ledger
  /** Whether the outlaw must be refused; undefined while a list is being replaced. */
  outlawed: boolean | undefined = false
  /** How many revocation lists there have been. */
  lists = 0
  #diedAt = Number.NEGATIVE_INFINITY

  constructor(scene: Scene, log: GatewayLog, ledger: Ledger) {
    this.#scene = scene
    this.#log = log
    this.#ledger = ledger
  }

  get deathIsFelt(): boolean {
    return performance.now() - this.#diedAt < DEATH_IS_FELT_MS
  }

  /** Another part of the configuration each time. */
  async reloads(signal: AbortSignal): Promise<void> {
    const { change } = this.#scene
    for (let i = 0; await pause(RELOAD_EVERY_MS, signal); i++) {
      const revokes = i % 8 === 1
      const steps = [
        async () => change.routes(10 + (i % 100)),
        () => change.revocationList(revokes),
        () => change.serverCertificate(),
        () => change.gatewayCertificate(),
      ]
      const listChanges = i % steps.length === 1
      if (listChanges) {
        this.outlawed = undefined
        this.lists += 1
      }
      await steps[i % steps.length]?.()
      const accepted = await this.#reload()
      if (listChanges && accepted) this.outlawed = revokes
    }
  }

  /** Waits until all workers have it. */
  async #reload(): Promise<boolean> {
    const from = this.#log.read().length
    const count = workersOf(this.#scene.gateway.pid).length
    process.kill(this.#scene.gateway.pid, 'SIGHUP')
    // Workers that drain do not take part.
    const accepted = await this.#log.expect('reloaded', Math.min(2, count), from, RELOAD_LIMIT_S)
    if (accepted) this.#ledger.reloads += 1
    else this.#ledger.problem('reload', 'not told of in time, or refused')
    return accepted
  }

  /** New workers for old ones, and the old ones must be gone once their last connection has ended. */
  async replace(signal: AbortSignal): Promise<void> {
    const { pid } = this.#scene.gateway
    const before = workersOf(pid)
    const from = this.#log.read().length
    process.kill(pid, 'SIGUSR2')
    if (!(await this.#log.expect('all workers were replaced', 1, from, REPLACEMENT_LIMIT_S))) {
      this.#ledger.problem('replacement', 'not told of in time')
      return
    }
    for (let waits = 0; workersOf(pid).some((worker) => before.includes(worker)); waits++) {
      if (waits > REPLACEMENT_LIMIT_S) return this.#ledger.problem('replacement', 'an old worker does not end')
      if (!(await pause(1000, signal))) return
    }
    this.#ledger.replacements += 1
  }

  /** A target dies, and comes back. */
  async deaths(signal: AbortSignal): Promise<void> {
    for (;;) {
      const mortal = await this.#scene.startMortal()
      const lives = await pause(ALIVE_MS, signal)
      this.#diedAt = performance.now()
      process.kill(mortal.pid, 'SIGKILL')
      if (!lives) return
      this.#ledger.deaths += 1
      if (!(await pause(DEAD_MS, signal))) return
    }
  }
}

/** False where it was interrupted. */
export async function pause(milliseconds: number, signal: AbortSignal): Promise<boolean> {
  return sleep(milliseconds, true, { signal }).catch(() => false)
}
