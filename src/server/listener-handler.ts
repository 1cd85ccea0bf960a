/** Connects a listener to the rest: requests go to the gateway, everything else to the log and the metrics. */
import { randomUUID } from 'node:crypto'
import type { GatewayError } from '../errors.ts'
import type { Gateway } from '../gateway.ts'
import { NO_CERTIFICATE } from '../listener/admission.ts'
import type { Peer } from '../listener/connection.ts'
import type { ListenerHandler } from '../listener/listener.ts'
import type { AccessLog } from '../log/access-log.ts'
import type { Log } from '../log/log.ts'
import type { Metrics } from '../metrics/metrics.ts'
import { verifyResult } from '../metrics/verify-result.ts'
import { connectionClosed, connectionOpened } from '../process/garbage.ts'
import { refusalBytes } from '../refuse.ts'
import type { Connection, Verification } from '../types.ts'

export interface ListenerHandlerOptions {
  /** Of the configuration in use. */
  readonly gatewayFor: (connection: Connection) => Pick<Gateway, 'handle' | 'upgrade'>
  /** Undefined as long as no configuration is in use. */
  readonly accessLog: () => Pick<AccessLog, 'refused'> | undefined
  readonly metrics: Metrics
  readonly log: Log
}

export function createListenerHandler({
  gatewayFor,
  accessLog,
  metrics,
  log,
}: ListenerHandlerOptions): ListenerHandler {
  const refused = (
    error: GatewayError,
    connection: Connection | undefined,
    peer: Pick<Connection, 'remoteAddress' | 'remotePort'>,
    accept?: string,
  ) => {
    const id = randomUUID().replaceAll('-', '')
    const { remoteAddress, remotePort } = peer
    accessLog()?.refused({ id, error, connection, remoteAddress, remotePort })
    metrics.refused(error.code)
    return refusalBytes(error, id, accept)
  }
  const handshakeFailed = (peer: Peer, reason: string, code = '') => {
    const result = code === 'ERR_TLS_HANDSHAKE_TIMEOUT' ? 'timeout' : 'error'
    metrics.handshake({ result, version: '', resumed: false })
    const { remoteAddress: remote_addr, remotePort: remote_port, serverName: server_name } = peer
    log.handshakeFailed({ remote_addr, remote_port, server_name, reason, code })
  }
  return {
    request: (request, response, connection) => void gatewayFor(connection).handle(request, response, connection),
    upgrade: (request, socket, head, connection) =>
      void gatewayFor(connection).upgrade(request, socket, head, connection),
    malformed: (error, connection) => refused(error, connection, connection),
    plain: (error, peer, accept) => refused(error, undefined, peer, accept),
    opened: ({ protocol, resumed, verification }) => {
      metrics.connectionsOpen.increment()
      metrics.handshake({ result: 'success', version: protocol, resumed })
      metrics.clientVerified(resultOf(verification))
      connectionOpened()
    },
    closed: () => {
      metrics.connectionsOpen.decrement()
      connectionClosed()
    },
    ended: ({ id, remoteAddress, remotePort, certificate }, reason) => {
      const peer = { connection_id: id, remote_addr: remoteAddress, remote_port: remotePort }
      log.info({ ...peer, subject: certificate?.subject, reason }, 'connection ended')
    },
    handshakeFailed,
    rejected: (peer, verification) => {
      metrics.clientVerified(resultOf(verification))
      const { reason, code } = verification.result === 'FAILED' ? refusalOf(verification) : REQUIRED
      handshakeFailed(peer, reason, code)
    },
    turnedAway: ({ reason, count, last }) => {
      metrics.connectionsRefused(reason, count)
      log.warn({ reason, count, remote_addr: last }, 'connections refused')
    },
  }
}

function resultOf(verification: Verification): ReturnType<typeof verifyResult> {
  if (verification.result === 'FAILED') return verifyResult(verification.code)
  return verification.result === 'NONE' ? 'none' : 'success'
}

const REQUIRED = { reason: NO_CERTIFICATE, code: 'GW_CLIENT_CERTIFICATE_REQUIRED' }

function refusalOf({ reason, code, hint }: Extract<Verification, { result: 'FAILED' }>): typeof REQUIRED {
  return { reason: `client certificate verify error: ${reason}${hint === undefined ? '' : ` (${hint})`}`, code }
}
