/** Writes the log to standard output. A full pipe or disk must not stop the gateway, fill its memory, or keep it from ending. */
import { fstatSync, write, writeSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

/** How long lines are gathered before they are written, in milliseconds. */
const GATHER_TIME = 50
/** They are written sooner once there are this many characters. */
const CHUNK = 64 * 1024
/** How many characters may wait to be written; further lines are lost. */
const MOST_WAITING = 16 * 1024 * 1024
/** How soon a failed write, to a full pipe or disk, is tried again, in milliseconds: at first, and at most. */
const TRY_AGAIN = 2
const TRY_AGAIN_AT_LAST = 128
/** How long the end of the process waits for a reader, in milliseconds. */
const LAST_WAIT = 1000
/** Before a crash nothing can be awaited. Then writing is tried this often, each time after this many milliseconds. */
const LAST_TRIES = 10
const LAST_TRY_AFTER = 10

type Written = (error: NodeJS.ErrnoException | null, bytes: number) => void

export class StandardOutput {
  /** How many lines were lost since that was last reported. */
  #lost = 0
  readonly #reportLost: (lost: number) => void
  readonly #isPipe = isPipe(1)
  #gathered = ''
  readonly #chunks: string[] = []
  /** How many characters wait in `#gathered` and `#chunks`. */
  #waiting = 0
  /** What is left of the chunk that is being written. */
  #current: Buffer | undefined
  #tryAgain = TRY_AGAIN
  /** Whether libuv's thread pool is writing it. */
  #inThread = false
  #timer: NodeJS.Timeout | undefined
  #written: (() => void)[] = []
  #gone = false

  /** @param reportLost called with the number of lines that were lost, once there is room again */
  constructor(reportLost: (lost: number) => void) {
    this.#reportLost = reportLost
    // Node writes its warnings there. Without a listener, one that cannot be written would end the gateway.
    process.stderr.on('error', () => {})
    process.on('exit', () => this.flushSync())
  }

  /** Whole lines, one or more. */
  write(lines: string): void {
    if (this.#gone) return
    if (this.#waiting + lines.length > MOST_WAITING) {
      this.#lost += lines.split('\n').length - 1
      return
    }
    this.#waiting += lines.length
    this.#gathered += lines
    if (this.#gathered.length >= CHUNK) this.#close()
    else this.#timer ??= setTimeout(() => this.#close(), GATHER_TIME).unref()
  }

  /** Resolves once everything is written, or the reader has been waited for long enough. */
  async flush(): Promise<void> {
    this.#close()
    if (!this.#current) return
    const written = new Promise<void>((resolve) => this.#written.push(resolve))
    await Promise.race([written, sleep(LAST_WAIT)])
  }

  /** Writes what can be written without waiting for a reader. */
  flushSync(): void {
    if (this.#gone) return
    const current = (!this.#inThread && this.#current) || NO_BYTES
    const rest = Buffer.concat([current, Buffer.from(this.#chunks.splice(0).join('') + this.#gathered)])
    this.#gathered = ''
    for (let tries = 0, at = 0; at < rest.length && tries < LAST_TRIES; ) {
      try {
        at += writeSync(1, rest, at)
        tries = 0
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return
        tries += 1
        Atomics.wait(NOTHING, 0, 0, LAST_TRY_AFTER)
      }
    }
  }

  /** Ends the chunk that is being gathered. */
  #close(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#gathered !== '') this.#chunks.push(this.#gathered)
    this.#gathered = ''
    if (!this.#current) this.#next()
  }

  #next(): void {
    const chunk = this.#chunks.shift()
    if (chunk === undefined) {
      for (const written of this.#written.splice(0)) written()
      return
    }
    this.#waiting -= chunk.length
    this.#send(Buffer.from(chunk))
  }

  #send(chunk: Buffer): void {
    this.#current = chunk
    if (this.#isPipe) writeAtOnce(1, chunk, this.#done)
    else {
      this.#inThread = true
      write(1, chunk, 0, chunk.length, null, this.#done)
    }
  }

  readonly #done: Written = (error, bytes) => {
    this.#inThread = false
    const chunk = this.#current ?? NO_BYTES
    if (error?.code === 'EPIPE') this.#leave()
    // No line is lost once a part of it is written.
    else if (error) this.#sendLater(chunk)
    else {
      this.#tryAgain = TRY_AGAIN
      if (bytes < chunk.length) this.#send(chunk.subarray(bytes))
      else this.#sent()
    }
  }

  #sendLater(chunk: Buffer): void {
    setTimeout(() => this.#send(chunk), this.#tryAgain).unref()
    this.#tryAgain = Math.min(TRY_AGAIN_AT_LAST, 2 * this.#tryAgain)
  }

  #sent(): void {
    this.#current = undefined
    const lost = this.#lost
    this.#lost = 0
    if (lost > 0) this.#reportLost(lost)
    this.#next()
  }

  /** The reader is gone for good. */
  #leave(): void {
    this.#gone = true
    this.#gathered = ''
    this.#chunks.length = 0
    this.#current = undefined
    this.#next()
  }
}

const NO_BYTES = Buffer.alloc(0)
const NOTHING = new Int32Array(new SharedArrayBuffer(4))

/**
 * Whether a write may have to wait for a reader. A thread that waits in write(2) would keep the process from ending. So no thread is used for a pipe,
 * and the pipe is non-blocking: Node makes it so once process.stdout is accessed.
 */
function isPipe(descriptor: number): boolean {
  const stats = fstatSync(descriptor)
  const itIs = stats.isFIFO() || stats.isSocket()
  if (itIs) process.stdout.on('error', () => {})
  return itIs
}

function writeAtOnce(descriptor: number, chunk: Buffer, written: Written): void {
  let bytes = 0
  try {
    bytes = writeSync(descriptor, chunk)
  } catch (error) {
    written(error as NodeJS.ErrnoException, 0)
    return
  }
  written(null, bytes)
}
