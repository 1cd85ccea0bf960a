/** Remembers whom each open connection serves. An upgrade or a download outlives its request and must end with the credential that let it in. */
import type { AuthMethod, Identity, Proof, User } from '../types.ts'
import { changeOf } from './changed-user.ts'

interface Latest {
  request: object
  identity: Identity
}

export class Admitted {
  /** By socket. */
  readonly #latest = new WeakMap<object, Latest>()

  note(request: { readonly socket: object }, identity: Identity): void {
    const latest = this.#latest.get(request.socket)
    if (!latest) {
      this.#latest.set(request.socket, { request, identity })
      return
    }
    latest.request = request
    latest.identity = identity
  }

  /** Whom the latest request of a connection was let in as; undefined as long as nobody knows. */
  identityOf(request: { readonly socket: object }): Identity | undefined {
    const latest = this.#latest.get(request.socket)
    return latest?.request === request ? latest.identity : undefined
  }

  /**
   * Why what the latest request began must end; undefined where it may go on.
   * @param methods the methods of the configuration in use
   * @throws GatewayError GW_UNDECIDED where that cannot be decided; as a rejection where it has to be waited for
   */
  objection(
    socket: object,
    methods: ReadonlyMap<string, AuthMethod>,
  ): string | undefined | Promise<string | undefined> {
    const identity = this.#latest.get(socket)?.identity
    if (!identity?.user) return undefined
    if (identity.expiresAt <= Date.now()) return `what let ${identity.user.name} in has expired`
    const waiting: Promise<string | undefined>[] = []
    for (const proof of identity.proofs ?? []) {
      const objection = objectionTo(proof, methods.get(proof.method))
      if (objection instanceof Promise) waiting.push(objection)
      else if (objection !== undefined) return objection
    }
    if (waiting.length === 0) return undefined
    return Promise.all(waiting).then((found) => {
      // Meanwhile the connection may have begun to serve somebody else.
      return this.#latest.get(socket)?.identity === identity
        ? found.find((objection) => objection !== undefined)
        : undefined
    })
  }
}

function objectionTo(
  { method, of, user }: Proof,
  by: AuthMethod | undefined,
): string | undefined | Promise<string | undefined> {
  const owner = by?.ownerOf?.(of, user)
  const compare = (now: User | undefined) => changeOf(user, now, `the ${method} of ${user.name} is of no use any more`)
  return owner instanceof Promise ? owner.then(compare) : compare(owner)
}
