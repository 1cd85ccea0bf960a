import { GatewayError } from '../../errors.ts'

/** Bounds how many calls wait for a plugin. Once it is closed, whatever the plugin holds is released whenever no call is pending. */
export class PendingCalls {
  readonly #most: number
  readonly #release: () => void
  #pending = 0
  #closed = false

  /** @param most the setting `max_pending` */
  constructor(most: number, release: () => void) {
    this.#most = most
    this.#release = release
  }

  /** @throws GatewayError GW_OVERLOADED where too many are pending */
  async run<T>(call: () => Promise<T>): Promise<T> {
    if (this.#pending >= this.#most) {
      throw new GatewayError('GW_OVERLOADED', `${this.#most} answers of the plugin are waited for (max_pending)`)
    }
    this.#pending += 1
    try {
      return await call()
    } finally {
      this.#pending -= 1
      this.#releaseIfIdle()
    }
  }

  /** Calls that begin later are served all the same. */
  close(): void {
    this.#closed = true
    this.#releaseIfIdle()
  }

  #releaseIfIdle(): void {
    if (this.#closed && this.#pending === 0) this.#release()
  }
}
