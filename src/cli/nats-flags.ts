/** nats-server's flags for TLS: `--tls --tlscert --tlskey --tlscacert --tlsverify`, for the first server of the first listener. */
import type { LoadOptions } from '../config/index.ts'
import type { Problem } from '../errors.ts'

export interface NatsFlags {
  readonly tls?: true | string
  readonly tlscert?: string
  readonly tlskey?: string
  readonly tlscacert?: string
  readonly tlsverify?: true | string
}

/** As in NATS: with any of these flags, certificate and key must be given by flags too. */
export function checkNatsFlags({ tls, tlscert, tlskey, tlscacert, tlsverify }: NatsFlags): Problem[] {
  if (isOff(tls)) return [onlyOn('--tls', 'every listener speaks TLS')]
  if (isOff(tlsverify)) return [onlyOn('--tlsverify', 'ssl_verify_client in the file says who needs no certificate')]
  if ([tls, tlscert, tlskey, tlscacert, tlsverify].every((flag) => flag === undefined)) return []
  const missing = (path: string, what: string): Problem => {
    return { path, source: 'command line', message: `TLS Server ${what} must be present and valid` }
  }
  return [
    ...(tlscert ? [] : [missing('--tlscert', 'certificate')]),
    ...(tlskey ? [] : [missing('--tlskey', 'private key')]),
  ]
}

/** Flags of Go have values, as in `--tlsverify=true`. */
function isOff(flag: true | string | undefined): boolean {
  return typeof flag === 'string' && flag !== 'true'
}

function onlyOn(path: string, reason: string): Problem {
  return { path, source: 'command line', message: `takes no value but true: ${reason}` }
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
