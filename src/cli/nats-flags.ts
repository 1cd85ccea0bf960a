/** nats-server's flags for TLS: `--tls --tlscert --tlskey --tlscacert --tlsverify`, for the first server of the first listener. */
import type { LoadOptions } from '../config/index.ts'
import type { Problem } from '../errors.ts'

export interface NatsFlags {
  readonly tls?: true | string
  readonly tlscert?: string
  readonly tlskey?: string
  readonly tlscacert?: string
  readonly tlsverify: boolean
}

/** As in NATS: with any of these flags, certificate and key must be given by flags too. */
export function checkNatsFlags({ tls, tlscert, tlskey, tlscacert, tlsverify }: NatsFlags): Problem[] {
  if (typeof tls === 'string' && tls !== 'true') return [NO_PLAIN]
  if (tls === undefined && tlscert === undefined && tlskey === undefined && tlscacert === undefined && !tlsverify)
    return []
  const missing = (path: string, what: string): Problem => {
    return { path, source: 'command line', message: `TLS Server ${what} must be present and valid` }
  }
  return [
    ...(tlscert ? [] : [missing('--tlscert', 'certificate')]),
    ...(tlskey ? [] : [missing('--tlskey', 'private key')]),
  ]
}

const NO_PLAIN: Problem = {
  path: '--tls',
  source: 'command line',
  message: 'takes no value but true: every listener speaks TLS',
}

const SERVER = 'listeners[0].servers[0]'

/** Unlike in NATS a missing `--tlsverify` does not turn off what the file demands: a flag left out must not let everybody in. */
export function natsOverrides({ tlscert, tlskey, tlscacert, tlsverify }: NatsFlags): LoadOptions['overrides'] {
  return {
    [`${SERVER}.ssl_certificate`]: tlscert,
    [`${SERVER}.ssl_certificate_key`]: tlskey,
    [`${SERVER}.ssl_client_certificate`]: tlscacert,
    [`${SERVER}.ssl_verify_client`]: tlsverify ? 'on' : undefined,
  }
}
