import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import type { HttpRequest } from '../../http-messages.ts'
import { type PlainHead, PlainRequest } from './plain-request.ts'

/** A request that was there as a whole when it was read. */
export class WholeRequest extends PlainRequest implements HttpRequest {
  readonly complete = true
  readonly wholeBody: Buffer | undefined
  #body: Readable | undefined

  constructor(socket: Socket, head: PlainHead, wholeBody: Buffer | undefined) {
    super(socket, head)
    this.wholeBody = wholeBody
  }

  get body(): Readable {
    this.#body ??= Readable.from(this.wholeBody ? [this.wholeBody] : [], { objectMode: false })
    return this.#body
  }
}
