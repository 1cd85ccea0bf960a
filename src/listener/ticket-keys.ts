import { hkdfSync } from 'node:crypto'

/** What node:tls wants: a name, a key for the signature and one for the encryption, 16 bytes each. */
const KEY_BYTES = 48

/** What keys follow from. */
export interface TicketSecret {
  readonly bytes: Buffer
  /** From when periods are counted, in milliseconds since the epoch. */
  readonly since: number
}

/**
 * The keys that session tickets are encrypted with, for one period after the other. There is only ever one key and it opens no ticket of an
 * earlier period, also none that was renewed: OpenSSL gives a resumed TLS 1.3 session a new ticket as if it had just been made, so
 * that otherwise it could be kept alive for ever. A session thus ends at most one period after its full handshake, and at once when what clients are judged
 * by becomes another.
 *
 * Keys follow from a secret, the time and that basis, so that several processes with the same secret agree on them without a word.
 */
export class TicketKeys {
  readonly #secret: TicketSecret
  readonly #context: string
  readonly #period: number
  #current: string | undefined

  /** @param context whatever must not share sessions differs in it. @param period in milliseconds */
  constructor(secret: TicketSecret, context: string, period: number) {
    this.#secret = secret
    this.#context = context
    this.#period = period
  }

  /** The keys of this moment, where the last call has not given them already. @param basis what clients are judged by, beyond the context */
  renewed(now: number, basis: string): Buffer | undefined {
    const epoch = Math.floor((now - this.#secret.since) / this.#period)
    const current = `${epoch} ${basis}`
    if (current === this.#current) return undefined
    this.#current = current
    const info = `session tickets ${this.#context} ${current}`
    return Buffer.from(hkdfSync('sha256', this.#secret.bytes, '', info, KEY_BYTES))
  }
}
