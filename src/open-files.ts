/** What the system lets this process have open at once, and how much of it connections may take. */

/** For everything but connections: listeners, the log, the admin's connections, threads, plugins, name look-ups, the files that a reload reads. */
const OTHERS = 128

/** A limited number of things that may be open at once. Whoever takes a slot gives it back. */
export interface Slots {
  /** Takes a slot; false where none is free. */
  enter(): boolean
  leave(): void
}

/** Node raises it to the hard limit when it starts. To be asked before there are connections, as the report names all of them. */
export function limitOfOpenFiles(): number {
  const { userLimits } = process.report.getReport() as { userLimits?: { open_files?: { soft?: number | string } } }
  const soft = userLimits?.open_files?.soft
  return typeof soft === 'number' ? soft : Number.POSITIVE_INFINITY
}

/**
 * Shares the limit of open files out between clients and upstreams, so that a crowd can take neither the connections to upstreams from the requests of
 * those who are there, nor the descriptors that a reload needs. Nobody may come to where the system refuses: libuv then closes what it accepts and tells nobody,
 * and a worker that cannot receive a connection never gets another one.
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

  /** How many clients there may be beside so many connections to upstreams: at least half of what there is, as each client asks for one thing at a time. */
  clientsBeside(upstreams: number): number {
    return this.#room - Math.min(Math.ceil(this.#room / 2), upstreams)
  }

  /** The limit that so many clients need, beside so many connections to upstreams. */
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
