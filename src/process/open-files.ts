/** How many files this process may have open, and how many of them connections may take. */

/**
 * Kept free for everything but connections: listeners, the log, the admin listener's connections, threads, plugins, name look-ups, and the files that
 * a reload reads.
 */
const OTHERS = 128

/** A limited number of things that may be open at once. Whoever takes a slot gives it back. */
export interface Slots {
  /** Takes a slot; false where none is free. */
  enter(): boolean
  leave(): void
}

/**
 * The limit of open files; Node raises it to the hard limit when it starts. Call it before there are connections: the report that it reads lists all
 * of them.
 */
export function limitOfOpenFiles(): number {
  const { userLimits } = process.report.getReport() as { userLimits?: { open_files?: { soft?: number | string } } }
  const soft = userLimits?.open_files?.soft
  return typeof soft === 'number' ? soft : Number.POSITIVE_INFINITY
}

/**
 * Divides the limit of open files between clients and upstreams. Thus a crowd of clients can take neither the upstream connections that earlier
 * clients need, nor the descriptors that a reload needs. The system's own limit must never be reached: libuv then closes the connections that it
 * accepts without a word, and a worker that could not receive a connection never gets another one.
 */
export class OpenFiles {
  readonly limit: number
  readonly clients: Share
  readonly upstreams: Share

  constructor(limit: number) {
    this.limit = limit
    this.clients = new Share()
    this.upstreams = new Share()
    this.shareOut(Number.POSITIVE_INFINITY)
  }

  /**
   * How many clients there may be beside this many upstream connections: at least half of the room, as each client waits for one answer at a time.
   */
  clientsBeside(upstreams: number): number {
    return this.#room - Math.min(Math.ceil(this.#room / 2), upstreams)
  }

  /** The limit of open files that this many clients and upstream connections need. */
  static limitFor(clients: number, upstreams: number): number {
    return OTHERS + clients + Math.min(clients, upstreams)
  }

  /** @param upstreams how many connections to upstreams the configuration allows */
  shareOut(upstreams: number): void {
    if (!Number.isFinite(this.limit)) return
    this.clients.most = this.clientsBeside(upstreams)
    this.upstreams.most = this.#room - this.clients.most
  }

  get #room(): number {
    return this.limit - Math.min(OTHERS, this.limit >> 1)
  }
}

export class Share implements Slots {
  most = Number.POSITIVE_INFINITY
  #taken = 0

  enter(): boolean {
    if (this.#taken >= this.most) return false
    this.#taken += 1
    return true
  }

  leave(): void {
    this.#taken -= 1
  }
}
