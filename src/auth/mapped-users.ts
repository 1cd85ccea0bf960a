/** Remembers the users that open connections were let in as by their certificates, under whatever configuration. */
import type { Caller, Connection, Mapping, User, VirtualServer } from '../types.ts'
import { changeOf } from './changed-user.ts'

interface Noted {
  readonly user: User
  /** The methods that he had to pass besides. */
  readonly requires: readonly string[]
  readonly host: string
}

type Objection = string | undefined

type Mapped = Extract<Mapping, { status: 'mapped' }>

/** For the log: by which rule. */
export interface FoundUser {
  readonly connection_id: string
  readonly user: string
  readonly reason: string
}

/** A WebSocket or a download outlives the configuration that let it in. It must end when the user of its certificate changes. */
export class MappedUsers {
  /**
   * By socket, since a connection that is judged again is replaced by another value. Clients of a load balancer share its socket, so theirs are kept
   * by connection.
   */
  readonly #noted = new WeakMap<object, Noted>()
  /** The client whose request is the latest on a load balancer's socket. */
  readonly #presented = new WeakMap<object, Connection>()
  readonly #report: (found: FoundUser) => void

  /** @param report called for each user who is found, once per connection */
  constructor(report: (found: FoundUser) => void = () => {}) {
    this.#report = report
  }

  note({ request: { socket }, connection, destination }: Caller, { user, reason, requires = [] }: Mapped): void {
    const isPresented = this.#presented.get(socket) === connection
    this.#noted.set(isPresented ? connection : socket, { user, requires, host: destination.host })
    this.#report({ connection_id: connection.id, user: user.name, reason })
  }

  /** Until its next request, the load balancer's connection is only good for what this client may do. @param client undefined for its own requests */
  present(socket: object, client: Connection | undefined): void {
    if (client) this.#presented.set(socket, client)
    else this.#presented.delete(socket)
  }

  /** The client whose request is the latest on a load balancer's connection; undefined on others. */
  presentedOn(socket: object): Connection | undefined {
    return this.#presented.get(socket)
  }

  /**
   * Why a connection must end; undefined where it may go on. Returns a promise where a plugin has to be asked; it rejects where the plugin cannot
   * decide.
   */
  objection(
    socket: object,
    peer: Connection,
    serverFor: (host: string) => VirtualServer,
  ): Objection | Promise<Objection> {
    const client = this.#presented.get(socket)
    const own = this.#objectionTo(peer, this.#noted.get(socket), serverFor)
    const other = client && this.#objectionTo(client, this.#noted.get(client), serverFor)
    if (own instanceof Promise || other instanceof Promise)
      return Promise.all([own, other]).then(([first, second]) => first ?? second)
    return own ?? other
  }

  #objectionTo(
    connection: Connection,
    noted: Noted | undefined,
    serverFor: (host: string) => VirtualServer,
  ): Objection | Promise<Objection> {
    const { certificate } = connection
    if (!noted || !certificate) return undefined
    const mapping = serverFor(noted.host).mapper?.map(certificate, connection)
    return mapping instanceof Promise ? mapping.then((found) => difference(noted, found)) : difference(noted, mapping)
  }
}

function difference({ user, requires }: Noted, mapping: Mapping | undefined): Objection {
  const found = mapping?.status === 'mapped' ? mapping : undefined
  const change = changeOf(user, found?.user, `the certificate does not belong to ${user.name} any more`)
  const more = found?.requires?.find((method) => !requires.includes(method))
  return change ?? (more === undefined ? undefined : `${user.name} has to pass ${more} as well by now`)
}
