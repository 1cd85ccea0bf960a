/** The gateway's log while it grows: what it says beside the line of each request. */
import { closeSync, openSync, readSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

export type LogLine = Readonly<Record<string, unknown>> & { readonly msg?: string; readonly level?: string }

const CHUNK = 1024 * 1024

export class GatewayLog {
  readonly lines: LogLine[] = []
  readonly #file: number
  #rest = ''
  readonly #buffer = Buffer.alloc(CHUNK)

  constructor(path: string) {
    this.#file = openSync(path, 'r')
  }

  /** Reads on to where the log ends by now. */
  read(): readonly LogLine[] {
    for (;;) {
      const length = readSync(this.#file, this.#buffer, 0, CHUNK, null)
      if (length === 0) return this.lines
      const lines = (this.#rest + this.#buffer.toString('latin1', 0, length)).split('\n')
      this.#rest = lines.pop() ?? ''
      for (const line of lines) {
        if (!line.includes('"msg":"request"')) this.lines.push(JSON.parse(line) as LogLine)
      }
    }
  }

  /** Waits for so many lines with this message behind the first `from` lines. */
  async expect(msg: string, count: number, from: number, seconds: number): Promise<boolean> {
    for (const until = performance.now() + seconds * 1000; performance.now() < until; await sleep(200)) {
      const found = this.read().slice(from)
      if (found.filter((line) => line.msg === msg).length >= count) return true
    }
    return false
  }

  close(): void {
    closeSync(this.#file)
  }
}
