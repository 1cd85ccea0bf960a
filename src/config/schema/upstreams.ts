/** Kong's upstreams and targets: the addresses behind one name. */
import * as z from 'zod'
import { authority, host, targetAddress } from './addresses.ts'
import type { CertificateConfig } from './certificates.ts'
import { entity, field, type Kind, type Located } from './field.ts'
import { foreignKey } from './foreign-key.ts'
import { choice, integer, text } from './scalars.ts'

const targetFields = {
  target: field(targetAddress, {
    required: true,
    about: 'The address: host, or host:port; port 8000 where none is written, as in Kong. Or unix:/run/app.sock.',
  }),
  weight: field(integer(0, 65_535), { default: 100, about: 'Its share of the requests; 0 takes it out.' }),
}

/** As it nests in an upstream. */
const nestedTarget = entity('An address of this upstream.', targetFields)

export const target = entity('An address of an upstream.', {
  ...targetFields,
  upstream: field(foreignKey('an upstream'), { required: true, about: 'The upstream.' }),
})

/** One of Kong's words; Kong's others are reported as not supported yet. */
function supported<const T extends readonly string[]>(words: T, others: readonly string[]): Kind<T[number]> {
  const known = choice(...words)
  return { ...known, expected: `${known.expected} (${others.join(', ')}: not supported yet)` }
}

/** Kept as written, for references; services find it in any letter case. */
const upstreamName: Kind<string> = {
  expected: 'a name that is shaped like a host name',
  json: { type: 'string' },
  parse(value) {
    host.parse(value)
    return text.parse(value)
  },
}

export const upstream = entity('Several addresses under one name; a service uses it by having that name as its host.', {
  name: field(upstreamName, { required: true, about: 'The name that services use as host.' }),
  algorithm: field(supported(['round-robin'], ['consistent-hashing', 'least-connections', 'latency']), {
    default: 'round-robin',
    about: 'How a target is chosen: round-robin, by weight.',
  }),
  hash_on: field(supported(['none'], ['consumer', 'ip', 'header', 'cookie', 'path', 'query_arg', 'uri_capture']), {
    default: 'none',
    about: 'What decides the target for consistent hashing; only none is supported.',
  }),
  hash_fallback: field(
    supported(['none'], ['consumer', 'ip', 'header', 'cookie', 'path', 'query_arg', 'uri_capture']),
    {
      default: 'none',
      about: 'Only none is supported.',
    },
  ),
  hash_on_cookie_path: field(text, { default: '/', about: 'Accepted and not used.' }),
  slots: field(integer(10, 65_536), {
    default: 10_000,
    about: 'Accepted and not used: weights are exact without slots.',
  }),
  host_header: field(authority, {
    otherwise: 'the host of the target',
    about: 'The Host that is sent to the targets.',
  }),
  client_certificate: field(foreignKey('a certificate'), {
    otherwise: 'proxy.proxy_ssl_certificate',
    about: 'The certificate that is presented to the targets where the service names none.',
  }),
  targets: z.array(nestedTarget).prefault([]).describe('The addresses.'),
})

export type WrittenUpstream = z.output<typeof upstream> & Located
export type WrittenTarget = z.output<typeof target> & Located

export interface TargetConfig extends Located {
  /** `host:port`, IPv6 in brackets; or `unix:` and the path of a socket. */
  readonly name: string
  /** Lower case, IPv6 without brackets; `localhost` over a Unix socket. */
  readonly host: string
  /** 0 over a Unix socket. */
  readonly port: number
  /** The path of a Unix socket, to connect to in place of host and port. */
  readonly socket: string | undefined
  /** Above 0. */
  readonly weight: number
}

export interface UpstreamConfig extends Located {
  readonly name: string
  readonly algorithm: 'round-robin'
  readonly host_header: string | undefined
  readonly client_certificate: CertificateConfig | undefined
  /** Those with a weight above 0; may be empty. */
  readonly targets: readonly TargetConfig[]
}
