/** The demands of services and routes on the client's certificate, where the server only asks for one. */
import * as z from 'zod'
import type { Problem } from '../../errors.ts'
import { field, type Located } from './field.ts'
import type { ListenerConfig } from './listeners.ts'
import { checkNameRules, type NameRuleConfig, nameRule } from './name-rules.ts'
import { choice } from './scalars.ts'

export const certificateDemands = {
  ssl_verify_client: field(choice('off', 'optional', 'on', 'optional_no_ca'), {
    otherwise: "for a route, the service's; else the server's",
    about:
      'As the setting of that name of servers, in place of it, where the server has optional or optional_no_ca and so asks every client. ' +
      'off: the certificate is neither looked at nor told to the API. A server with on demands one whatever its routes say.',
  }),
  ssl_verify_allow: z
    .array(nameRule)
    .optional()
    .describe(
      "What a certificate may be called here, besides the server's own ssl_verify_allow: one of these rules must fit, else 403. Needs ssl_verify_client: on. Without it, for a route, the service's.",
    ),
}

export interface CertificateDemands {
  readonly ssl_verify_client: 'off' | 'optional' | 'on' | 'optional_no_ca' | undefined
  readonly ssl_verify_allow: readonly NameRuleConfig[] | undefined
}

export function checkCertificateDemands(given: Partial<CertificateDemands> & Located): Problem[] {
  return checkNameRules(given.ssl_verify_allow, `${given.at}.ssl_verify_allow`)
}

/** Reports demands that no server makes possible, or that are always met or never: they would mislead the reader of the file. */
export function checkAgainstServers(
  routes: readonly (CertificateDemands & Located)[],
  listeners: readonly ListenerConfig[],
): Problem[] {
  // Nobody who was asked by a server with ssl_reject_handshake, or not, comes to a route.
  const accepting = listeners.flatMap(({ servers }) => servers.filter((server) => !server.ssl_reject_handshake))
  const modes = new Set(accepting.map((server) => server.ssl_verify_client))
  return routes.flatMap(({ at, ssl_verify_client: mode, ssl_verify_allow: allow }) => [
    ...(mode === undefined ? [] : checkMode(mode, modes, `${at}.ssl_verify_client`)),
    ...(allow && !isDemanded(mode, modes) ? [WITHOUT_DEMAND(`${at}.ssl_verify_allow`)] : []),
  ])
}

type Mode = NonNullable<CertificateDemands['ssl_verify_client']>

function isDemanded(mode: Mode | undefined, modes: ReadonlySet<Mode>): boolean {
  return mode === 'on' || isOn(modes)
}

/** Whether all of them are on. */
function isOn(modes: ReadonlySet<Mode>): boolean {
  return modes.size === 1 && modes.has('on')
}

function checkMode(mode: Mode, modes: ReadonlySet<Mode>, path: string): Problem[] {
  if (mode !== 'off' && [...modes].every((each) => each === 'off')) {
    return [
      {
        path,
        message: `is ${mode}, but no server asks for certificates: set ssl_verify_client: optional and ssl_client_certificate there`,
      },
    ]
  }
  if (mode !== 'on' && isOn(modes)) {
    return [
      {
        path,
        message: `is ${mode}, but every server demands a certificate of everybody: set ssl_verify_client: optional there, and on at the routes that need it`,
      },
    ]
  }
  return []
}

const WITHOUT_DEMAND = (path: string): Problem => ({
  path,
  message: 'stands without ssl_verify_client: on, so that a client without a certificate would pass; set it beside it',
})
