import { hkdfSync } from 'node:crypto'

/** What node:tls expects: a name, a key for the signature and one for the encryption, 16 bytes each. */
const KEY_BYTES = 48

/** What keys are derived from. */
export interface TicketSecret {
  readonly bytes: Buffer
  /** The start of the first period, in milliseconds since the epoch. */
  readonly since: number
}

/**
 * The keys that encrypt session tickets, one for each period. Only one key exists at a time. It opens no ticket of an earlier period, not even a
 * renewed one: OpenSSL gives a resumed TLS 1.3 session a new ticket as if it were new, so it could be kept alive for ever. Thus a session ends at
 * most one period after its full handshake, and at once when the basis on which clients are judged changes.
 *
 * Keys are derived from a secret, the time and that basis, so that several processes with the same secret agree without exchanging them.
 */
export class TicketKeys {
  readonly #secret: TicketSecret
  readonly #context: string
  readonly #period: number
  #current: string | undefined

  /**
   * @param context differs for whatever must not share sessions
   * @param period in milliseconds
   */
  constructor(secret: TicketSecret, context: string, period: number) {
    this.#secret = secret
    this.#context = context
    this.#period = period
  }

  /**
   * The current keys, unless the last call has returned them already.
   * @param basis what clients are judged by, beyond the context
   */
  renewed(now: number, basis: string): Buffer | undefined {
    const epoch = Math.floor((now - this.#secret.since) / this.#period)
    const current = `${epoch} ${basis}`
    if (current === this.#current) return undefined
    this.#current = current
    const info = `session tickets ${this.#context} ${current}`
    return Buffer.from(hkdfSync('sha256', this.#secret.bytes, '', info, KEY_BYTES))
  }
}
