import type { Socket } from 'node:net'
import type { Slots } from '../open-files.ts'
import { Refusals, type Refused } from '../refusals.ts'
import { type Peer, peerOf } from './connection.ts'
import { type ConnectionLimitSettings, ConnectionLimits, type LimitName } from './connection-limits.ts'
import { awaitProxyHeader } from './proxy-protocol.ts'

export interface DoorwaySettings extends ConnectionLimitSettings {
  /** Milliseconds, of which a PROXY header takes its part. */
  readonly handshakeTimeout: number
  /** Whether a peer with this address is a proxy that begins with a PROXY header. */
  readonly sendsProxyHeader: (address: string) => boolean
}

export interface DoorwayHandler {
  /** It may begin its handshake. `timeout` is what is left for it, in milliseconds. */
  begin(socket: Socket, peer: Peer, timeout: number): void
  invalidProxyHeader(peer: Peer, reason: string): void
  turnedAway(refused: Refused<LimitName>): void
}

/** What happens to an accepted socket before its handshake: it is counted, turned away where there are too many, and a proxy says whose it is. */
export class Doorway {
  /** All that are open, whatever became of them. */
  readonly sockets = new Set<Socket>()
  isOverUnix = false
  readonly #handler: DoorwayHandler
  readonly #limits: ConnectionLimits
  readonly #refusals: Refusals<LimitName>
  #settings: DoorwaySettings

  /** @param slots of the connections of all listeners together */
  constructor(settings: DoorwaySettings, slots: Slots, handler: DoorwayHandler) {
    this.#settings = settings
    this.#handler = handler
    this.#limits = new ConnectionLimits(settings, slots)
    this.#refusals = new Refusals((refused) => handler.turnedAway(refused))
  }

  apply(settings: DoorwaySettings): void {
    this.#settings = settings
    this.#limits.apply(settings)
  }

  accept(socket: Socket): void {
    const peer = peerOf(socket, this.isOverUnix)
    if (!peer) {
      socket.destroy()
      return
    }
    const limit = this.#limits.come()
    if (limit) {
      this.#turnAway(socket, limit, peer.remoteAddress)
      return
    }
    this.sockets.add(socket)
    socket.on('error', ignore)
    socket.once('close', () => {
      this.sockets.delete(socket)
      this.#limits.left()
    })
    if (this.#settings.sendsProxyHeader(peer.remoteAddress)) this.#hearProxy(socket, peer)
    else this.#begin(socket, peer)
  }

  /** Such a proxy must say who its client is; without that nobody knows who is there. */
  #hearProxy(socket: Socket, peer: Peer): void {
    const begun = performance.now()
    awaitProxyHeader(socket, this.#settings.handshakeTimeout, (header) => {
      if (header.status === 'invalid') {
        this.#handler.invalidProxyHeader(peer, header.reason)
        socket.destroy()
        return
      }
      const { address, port } = header.source ?? { address: peer.remoteAddress, port: peer.remotePort }
      this.#begin(socket, { ...peer, remoteAddress: address, remotePort: port }, performance.now() - begun)
    })
  }

  /** @param spent of the time for the handshake, in milliseconds */
  #begin(socket: Socket, peer: Peer, spent = 0): void {
    const leave = this.#limits.enter(peer.remoteAddress)
    if (!leave) {
      this.#turnAway(socket, 'max_connections_per_address', peer.remoteAddress)
      return
    }
    socket.once('close', leave)
    this.#handler.begin(socket, peer, Math.max(1, Math.ceil(this.#settings.handshakeTimeout - spent)))
  }

  #turnAway(socket: Socket, limit: LimitName, remoteAddress: string): void {
    this.#refusals.note(limit, remoteAddress)
    socket.destroy()
  }
}

function ignore(): void {}
