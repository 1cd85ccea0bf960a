import type { Socket } from 'node:net'
import type { HttpRequest } from '../../http-messages.ts'

export interface PlainHead extends Pick<PlainRequest, 'method' | 'url' | 'rawHeaders' | 'isLast'> {
  readonly minor: 0 | 1
}

/** A request that was read without node:http, wherever its body is. */
export abstract class PlainRequest implements Omit<HttpRequest, 'complete' | 'wholeBody' | 'body'> {
  readonly method: string
  readonly url: string
  readonly httpVersion: '1.0' | '1.1'
  readonly httpVersionMajor = 1
  readonly httpVersionMinor: 0 | 1
  readonly rawHeaders: string[]
  readonly socket: Socket
  /** Whether the client wants its connection to end with the answer. */
  readonly isLast: boolean

  constructor(socket: Socket, { method, url, minor, rawHeaders, isLast }: PlainHead) {
    this.socket = socket
    this.method = method
    this.url = url
    this.httpVersion = minor === 0 ? '1.0' : '1.1'
    this.httpVersionMinor = minor
    this.rawHeaders = rawHeaders
    this.isLast = isLast
  }
}
