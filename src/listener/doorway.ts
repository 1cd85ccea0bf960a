import type { Socket } from 'node:net'
import type { Slots } from '../process/open-files.ts'
import { Refusals, type Refused } from '../refusals.ts'
import { type Peer, peerOf } from './connection.ts'
import { type ConnectionLimitSettings, ConnectionLimits, type LimitName } from './connection-limits.ts'
import { awaitProxyHeader } from './proxy-protocol.ts'

export interface DoorwaySettings extends ConnectionLimitSettings {
  /** Milliseconds; a PROXY header takes its part of them. */
  readonly handshakeTimeout: number
  /** Whether the peer with this address is a proxy that sends a PROXY header first. */
  readonly sendsProxyHeader: (address: string) => boolean
}

export interface DoorwayHandler {
  /** The socket may begin its handshake. `timeout` is what is left of the time, in milliseconds. */
  begin(socket: Socket, peer: Peer, timeout: number): void
  invalidProxyHeader(peer: Peer, reason: string): void
  turnedAway(refused: Refused<LimitName>): void
}

/** Handles an accepted socket before its handshake: it is counted, refused where there are too many, and a proxy names its client. */
export class Doorway {
  /** All open sockets, whatever they are used for. */
  readonly sockets = new Set<Socket>()
  isOverUnix = false
  readonly #handler: DoorwayHandler
  readonly #limits: ConnectionLimits
  readonly #refusals: Refusals<LimitName>
  #settings: DoorwaySettings

  /** @param slots for the connections of all listeners together */
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

  /** Such a proxy must name its client; otherwise it is unknown who is connected. */
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

  /** @param spent how much of the time for the handshake is used up, in milliseconds */
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
