/** Bytes over a TLS socket, exactly as written, and the answers taken apart by hand: no HTTP client stands between the test and the parser. */
import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { Issued } from './pki.ts'
import { waitFor, within } from './wait.ts'

export interface RawOptions {
  readonly as?: Issued
  /** `localhost` by default; none where empty. */
  readonly servername?: string
  /** No TLS at all. */
  readonly plain?: boolean
}

export interface RawAnswer {
  readonly status: number
  readonly statusLine: string
  /** Lower-case names, in order. */
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body: string
}

export class RawConnection {
  readonly socket: Socket
  readonly closed: Promise<void>
  isClosed = false
  private chunks: Buffer[] = []

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (chunk: Buffer) => this.chunks.push(chunk))
    // A reset is one way to close; what came before it is judged.
    socket.on('error', () => {})
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        this.isClosed = true
        resolve()
      })
    })
  }

  /** What has come so far; a character per byte. */
  get received(): string {
    return Buffer.concat(this.chunks).toString('latin1')
  }

  /** A character per byte, so that any byte can be written. */
  write(bytes: string | Buffer): this {
    this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
    return this
  }

  /** Waits for this many complete answers; fewer where the connection closes. Interim answers (1xx) count. */
  async answers(count = 1, seconds = 30): Promise<readonly RawAnswer[]> {
    await waitFor(
      `${count} answers`,
      () => this.isClosed || parseAnswers(this.received, false).length >= count,
      seconds,
    )
    return parseAnswers(this.received, this.isClosed)
  }

  async untilClosed(seconds = 30): Promise<readonly RawAnswer[]> {
    await within(seconds, 'the end of the connection', this.closed)
    return parseAnswers(this.received, true)
  }

  destroy(): void {
    this.socket.destroy()
  }
}

export function openRaw(
  port: number,
  { as, servername = 'localhost', plain }: RawOptions = {},
): Promise<RawConnection> {
  return new Promise((resolve, reject) => {
    const socket = plain
      ? connectTcp({ host: '127.0.0.1', port })
      : connectTls({
          host: '127.0.0.1',
          port,
          rejectUnauthorized: false,
          ALPNProtocols: ['http/1.1'],
          ...(servername !== '' && isIP(servername) === 0 && { servername }),
          ...(as && { cert: as.chain, key: as.key }),
        })
    socket.once('error', reject)
    socket.once(plain ? 'connect' : 'secureConnect', () => resolve(new RawConnection(socket)))
  })
}

/** Opens a connection, writes the bytes, and reads until the other side closes. */
export async function talk(port: number, bytes: string, options: RawOptions = {}): Promise<readonly RawAnswer[]> {
  const connection = await openRaw(port, options)
  try {
    return await connection.write(bytes).untilClosed()
  } finally {
    connection.destroy()
  }
}

/** Complete answers only; with `ended`, what the end of the connection completes as well. */
export function parseAnswers(text: string, ended: boolean): readonly RawAnswer[] {
  const answers: RawAnswer[] = []
  let taken = takeAnswer(text, ended)
  for (; taken; taken = takeAnswer(taken.rest, ended)) answers.push(taken.answer)
  return answers
}

/** The first answer, if it is complete, and what follows it. */
export function takeAnswer(
  text: string,
  ended: boolean,
  method = 'GET',
): { readonly answer: RawAnswer; readonly rest: string } | undefined {
  const headEnd = text.indexOf('\r\n\r\n')
  if (headEnd < 0) return undefined
  const [statusLine = '', ...lines] = text.slice(0, headEnd).split('\r\n')
  const headers = lines.map((line) => {
    const colon = line.indexOf(':')
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const
  })
  const status = Number(statusLine.split(' ')[1])
  const behind = text.slice(headEnd + 4)
  const body = method === 'HEAD' ? { text: '', rest: behind } : takeBody(behind, status, new Map(headers), ended)
  return body && { answer: { status, statusLine, headers, body: body.text }, rest: body.rest }
}

interface TakenBody {
  readonly text: string
  readonly rest: string
}

function takeBody(
  text: string,
  status: number,
  headers: ReadonlyMap<string, string>,
  ended: boolean,
): TakenBody | undefined {
  if (status < 200 || status === 204 || status === 304) return { text: '', rest: text }
  const length = headers.get('content-length')
  if (length !== undefined) {
    return text.length < Number(length) && !ended
      ? undefined
      : { text: text.slice(0, Number(length)), rest: text.slice(Number(length)) }
  }
  if (headers.get('transfer-encoding') === 'chunked') return takeChunks(text, ended)
  return ended ? { text, rest: '' } : undefined
}

function takeChunks(text: string, ended: boolean): TakenBody | undefined {
  let body = ''
  let at = 0
  for (;;) {
    const lineEnd = text.indexOf('\r\n', at)
    if (lineEnd < 0) return ended ? { text: body, rest: '' } : undefined
    const size = Number.parseInt(text.slice(at, lineEnd), 16)
    if (size === 0) {
      const end = text.indexOf('\r\n\r\n', lineEnd)
      return end < 0 && !ended ? undefined : { text: body, rest: end < 0 ? '' : text.slice(end + 4) }
    }
    body += text.slice(lineEnd + 2, lineEnd + 2 + size)
    at = lineEnd + 2 + size + 2
  }
}
