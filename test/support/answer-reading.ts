import { GatewayError } from '../../src/errors.ts'
import { type AnswerEvents, AnswerParser } from '../../src/upstream/http1/answer-parser.ts'

/** What a parser made of an answer. Texts are Latin-1. */
export interface Reading {
  interims: { status: number; headers: string[] }[]
  status: number
  reason: string
  headers: string[]
  body: string
  trailers: string[]
  /** In the order they came, neighbours that are equal only once. */
  events: string[]
  /** Whether the answer was told to be complete. */
  complete: boolean
  /** Of an upgraded connection: what came with the head. */
  rest: string | undefined
  reusable: boolean
  error: string | undefined
}

export interface Asked {
  readonly method?: string
  readonly upgrade?: boolean
  /** Whether the connection ends behind the pieces. */
  readonly finish?: boolean
}

/** What an earlier read may have left behind the bytes of this one: more of a body, the end of one, and another answer. */
const STALE = Buffer.from('stale\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstale', 'latin1')

/** Gives the pieces to a parser of ours, one after the other. */
export function readAnswer(pieces: readonly string[], { method = 'GET', upgrade = false, finish = false }: Asked = {}) {
  const reading = emptyReading()
  const parser = new AnswerParser(recorder(reading))
  parser.expect(method, upgrade)
  try {
    for (const piece of pieces) {
      const read = Buffer.from(piece, 'latin1')
      parser.execute(Buffer.concat([read, STALE]), read.length)
    }
    if (finish) parser.finish()
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error
    reading.error = error.message
  }
  reading.reusable = parser.reusable
  return reading
}

export function recorder(reading: Reading): AnswerEvents {
  const note = (event: string) => {
    if (reading.events.at(-1) !== event) reading.events.push(event)
  }
  return {
    interim({ status, headers }) {
      note('interim')
      reading.interims.push({ status, headers })
    },
    head({ status, reason, headers }) {
      note('head')
      Object.assign(reading, { status, reason, headers })
    },
    data(chunk) {
      note('data')
      reading.body += chunk.toString('latin1')
    },
    end(trailers) {
      note('end')
      reading.trailers = trailers
      reading.complete = true
    },
    upgraded({ status, reason, headers }, rest) {
      note('upgraded')
      Object.assign(reading, { status, reason, headers, rest: rest.toString('latin1') })
    },
  }
}

export function emptyReading(): Reading {
  return {
    interims: [],
    status: 0,
    reason: '',
    headers: [],
    body: '',
    trailers: [],
    events: [],
    complete: false,
    rest: undefined,
    reusable: true,
    error: undefined,
  }
}
