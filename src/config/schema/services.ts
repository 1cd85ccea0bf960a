/** Kong's services: the APIs behind the gateway. */
import { isDeepStrictEqual } from 'node:util'
import * as z from 'zod'
import type { Problem } from '../../errors.ts'
import { type AccessRulesConfig, accessRules } from './access-rules.ts'
import { host, hostOrSocket, readSocketPath, UNIX } from './addresses.ts'
import { demands } from './auth.ts'
import { type CertificateDemands, certificateDemands } from './certificate-demands.ts'
import { type CaCertificateConfig, type CertificateConfig, NO_CERTIFICATE } from './certificates.ts'
import { revocationCheckMode } from './crl.ts'
import { block, entity, field, type Kind, type Located, list, Unfit } from './field.ts'
import { foreignKey } from './foreign-key.ts'
import type { ProxyConfig } from './proxy.ts'
import type { RegistryRealmConfig } from './registry-realms.ts'
import { nestedRoute } from './routes.ts'
import { choice, duration, integer, onOff, text } from './scalars.ts'
import type { TargetConfig, UpstreamConfig } from './upstreams.ts'

/** Kong's bounds for its timeouts. */
const wholeMilliseconds = integer(1, 2 ** 31 - 2)
const milliseconds: Kind<number> = {
  ...wholeMilliseconds,
  expected: 'a whole number of milliseconds, from 1 to 2147483646',
  parse(value) {
    if (typeof value === 'string' && /^\d+(ms|[smh])$/.test(value))
      throw new Unfit(`expected milliseconds, as in Kong, without a unit: write ${duration.parse(value)}`)
    return wholeMilliseconds.parse(value)
  },
}

/** What Kong's `url` stands for. */
export interface ServiceUrl {
  readonly protocol: 'http' | 'https'
  readonly host: ServiceHost
  /** 0 over a Unix socket, which has none. */
  readonly port: number
  readonly path: string | undefined
}

type ServiceHost = string | { readonly socket: string }

/** Characters of RFC 3986's path, whole percent-escapes, and no empty segment, as in Kong. */
const SERVICE_PATH = /^(\/([A-Za-z0-9\-._~!$&'()*+,;=:@]|%[0-9A-Fa-f]{2})+)*\/?$/

const servicePath: Kind<string> = {
  expected: 'a path that begins with / and has no empty segment, query or fragment',
  json: { type: 'string', pattern: '^/' },
  parse(value) {
    if (typeof value === 'string' && value.startsWith('/') && SERVICE_PATH.test(value)) return value
    throw new Unfit('')
  },
}

const serviceUrl: Kind<ServiceUrl> = {
  expected: 'a URL such as https://api.internal:8443/v1 or http://unix:/run/app.sock',
  json: { type: 'string' },
  parse(value) {
    const parts = typeof value === 'string' ? /^([a-z][a-z0-9+.-]*):\/\/([^/?#]*)([^?#]*)(.*)$/i.exec(value) : null
    if (!parts && typeof value === 'string' && /^[\w.-]+(:\d+)?(\/|$)/.test(value))
      throw new Unfit('has no scheme; expected https:// or http:// before the host')
    if (!parts) throw new Unfit('')
    const [, scheme = '', place = '', path = '', rest] = parts
    const protocol = scheme.toLowerCase()
    if (protocol !== 'http' && protocol !== 'https')
      throw new Unfit(`has the scheme ${protocol}; expected http or https`)
    if (place.includes('@')) throw new Unfit('holds user information; expected a URL without it')
    if (place.includes(',')) throw new Unfit('names several hosts; expected one, or that of upstreams with targets')
    if (rest) throw new Unfit('holds a query or a fragment; expected a URL that ends with the path')
    if (place.startsWith(UNIX)) return socketUrl(protocol, place + path)
    if (/^[^[]*:.*:/.test(place)) throw new Unfit('has an IPv6 address without brackets; expected https://[::1]:8443')
    const split = /^(\[[^\]]*\]|[^:]*)(?::(\d{1,5}))?$/.exec(place)
    const port = Number(split?.[2] ?? (protocol === 'https' ? 443 : 80))
    if (!split || port < 1 || port > 65_535) throw new Unfit('')
    return { protocol, host: host.parse(split[1]), port, path: path === '' ? undefined : servicePath.parse(path) }
  },
}

/** nginx's form: `http://unix:/run/app.sock`, or `http://unix:/run/app.sock:/v1` with a path behind the socket's. */
function socketUrl(protocol: 'http' | 'https', place: string): ServiceUrl {
  const [, socket = '', path] = /^unix:([^:]*)(?::(.*))?$/.exec(place) ?? []
  const host = { socket: readSocketPath(socket) }
  return { protocol, host, port: 0, path: path === undefined ? undefined : servicePath.parse(path) }
}

/** What the gateway answers itself, in place of an API. */
const BUILTINS = ['registry-tokens', 'identity'] as const

/** Direct mode: what a service needs that is a Docker registry. */
const registryGate = block(
  'Makes the service a Docker registry whose every request is judged by the rights of a realm: with a certificate no log-in is needed.',
  {
    realm: field(foreignKey('a registry realm'), { required: true, about: 'The realm, from registry_realms.' }),
    service: field(text, { required: true, about: 'The registry, one of the services of the realm.' }),
    token: field(onOff, {
      default: 'on',
      about:
        'Whether the registry wants tokens (auth: token in its configuration); off for an open one, which nobody else may reach.',
    }),
    filter: field(onOff, {
      default: 'off',
      about:
        'Whether lists of repositories and tags show only what the caller may pull. Everybody may ask for the list of repositories then.',
    }),
  },
)

export const service = entity('An API behind the gateway.', {
  name: field(text, { about: 'Its name, for references, logs and metrics.' }),
  url: field(serviceUrl, {
    about:
      'protocol, host, port and path in one: https://api.internal:8443/v1; over a Unix socket http://unix:/run/app.sock, or http://unix:/run/app.sock:/v1, as in nginx.',
  }),
  builtin: field(choice(...BUILTINS), {
    about:
      'What the gateway itself answers, in place of url: registry-tokens, the token server of registry_realms, or identity, the API of identity_api.',
  }),
  protocol: field(choice('http', 'https'), { otherwise: 'http', about: 'How the API is spoken with: http or https.' }),
  host: field(hostOrSocket, {
    about:
      'Its host, the name of an upstream, or a Unix socket (unix:/run/app.sock), whose name is then localhost, as in nginx. Needed where there is no url.',
  }),
  port: field(integer(1, 65_535), {
    otherwise: '80, for https too, as in Kong',
    about: 'Its port; not used with an upstream.',
  }),
  path: field(servicePath, { about: 'What is put before the path of each request.' }),
  retries: field(integer(0, 32_767), {
    default: 5,
    about: 'How many more attempts follow a failed one; only while nothing of the body was sent and the method allows.',
  }),
  connect_timeout: field(milliseconds, {
    default: 60_000,
    about: 'Milliseconds for the connection and its TLS handshake.',
  }),
  write_timeout: field(milliseconds, { default: 60_000, about: 'Milliseconds between two writes of the request.' }),
  read_timeout: field(milliseconds, { default: 60_000, about: 'Milliseconds between two reads of the answer.' }),
  client_certificate: field(foreignKey('a certificate'), {
    otherwise: "the upstream's client_certificate, else proxy.proxy_ssl_certificate",
    about: `The certificate that the gateway presents to this API, or ${NO_CERTIFICATE} to present none.`,
  }),
  tls_verify: field(onOff, {
    otherwise: 'true, unlike in Kong',
    about: "Whether the API's certificate is verified. false needs unsafe_skip_verify: true beside it.",
  }),
  tls_verify_depth: field(integer(0, 64), {
    otherwise: 'proxy.proxy_ssl_verify_depth',
    about: 'How many intermediate certificates may stand in between.',
  }),
  ca_certificates: list(foreignKey('a CA certificate'), {
    otherwise: 'proxy.proxy_ssl_trusted_certificate',
    about: "The ids or names of the authorities that may have issued the API's certificate.",
  }),
  proxy_ssl_name: field(host, {
    otherwise: 'proxy.proxy_ssl_name, else the host',
    about: "The name that is sent as server name and that the API's certificate must hold.",
  }),
  proxy_revocation_check_mode: field(revocationCheckMode, {
    otherwise: 'proxy.proxy_revocation_check_mode',
    about:
      "What a list of proxy.proxy_ssl_crl means for this API's certificate that is missing or past its next update: STRICT, IGNORE_CA_ERROR or SKIP.",
  }),
  unsafe_skip_verify: field(onOff, {
    default: 'off',
    about: "Do not verify the API's certificate: anybody in between can read and change everything. For tests only.",
  }),
  ...demands,
  registry: registryGate.optional(),
  ...certificateDemands,
  ...accessRules,
  enabled: field(onOff, { default: true, about: 'false leaves out the service and its routes.' }),
  routes: z.array(nestedRoute).prefault([]).describe('The routes that lead to it.'),
})

export type WrittenService = z.output<typeof service> & Located

export interface RegistryGateConfig {
  readonly realm: RegistryRealmConfig
  readonly service: string
  readonly token: boolean
  readonly filter: boolean
}

/** A service as it is used. */
export interface ServiceConfig extends Located, CertificateDemands, AccessRulesConfig {
  readonly id: string | undefined
  /** The name or id of a consumer. */
  readonly default_consumer: string | undefined
  readonly authorization_plugins: readonly string[] | undefined
  /** Its name, else its id, else where it stands. */
  readonly name: string
  /** What the gateway answers itself; the fields of an API have no meaning then. */
  readonly builtin: (typeof BUILTINS)[number] | undefined
  readonly protocol: 'http' | 'https'
  /** Lower case, IPv6 without brackets; the upstream's name where there is one. */
  readonly host: string
  readonly port: number
  readonly path: string | undefined
  readonly retries: number
  /** Milliseconds. */
  readonly connect_timeout: number
  /** Milliseconds. */
  readonly write_timeout: number
  /** Milliseconds. */
  readonly read_timeout: number
  /** The certificate to present: this one, the gateway's own of `proxy`, or none. Already looked up in the upstream. */
  readonly client_certificate: CertificateConfig | 'default' | 'none'
  /** Whether the API's certificate is verified; everything that has a say is taken into account. */
  readonly tls_verify: boolean
  /** Already `proxy.proxy_ssl_verify_depth` where the service has none. */
  readonly tls_verify_depth: number
  /** Undefined: those of `proxy`. */
  readonly ca_certificates: readonly CaCertificateConfig[] | undefined
  /** Already `proxy.proxy_ssl_name` where the service has none; undefined: the host. */
  readonly proxy_ssl_name: string | undefined
  /** Already `proxy.proxy_revocation_check_mode` where the service has none. */
  readonly proxy_revocation_check_mode: ProxyConfig['proxy_revocation_check_mode']
  readonly upstream: UpstreamConfig | undefined
  readonly registry: RegistryGateConfig | undefined
  /** The upstream's, else host and port. Empty where an upstream has none. */
  readonly targets: readonly TargetConfig[]
  /** What its routes ask where they say nothing. */
  readonly rules: readonly (readonly string[])[] | undefined
  readonly anonymous: boolean | undefined
  readonly hide_credentials: boolean | undefined
}

const TLS_ONLY = [
  'client_certificate',
  'tls_verify',
  'tls_verify_depth',
  'ca_certificates',
  'proxy_ssl_name',
  'proxy_revocation_check_mode',
] as const

const PLACE = ['url', 'protocol', 'host', 'port', 'path'] as const

export function checkService(given: WrittenService): Problem[] {
  const { at, url, builtin } = given
  if (builtin !== undefined) {
    const written = ([...PLACE, ...TLS_ONLY, 'registry'] as const).filter((name) => given[name] !== undefined)
    const message = `has no meaning beside builtin: ${builtin}, which the gateway answers itself; remove one of them`
    return written.map((name) => ({ path: `${at}.${name}`, message }))
  }
  const problems: Problem[] = []
  if (!url && given.host === undefined)
    problems.push({ path: at, message: 'has neither url nor host; write url: https://api.internal' })
  for (const part of ['protocol', 'host', 'port', 'path'] as const) {
    if (url && given[part] !== undefined && !isDeepStrictEqual(given[part], url[part])) {
      problems.push({ path: `${at}.${part}`, message: 'says something else than url beside it; keep one of them' })
    }
  }
  if (typeof given.host === 'object' && given.port !== undefined)
    problems.push({ path: `${at}.port`, message: 'has no meaning over a Unix socket; remove it' })
  if ((url?.protocol ?? given.protocol ?? 'http') === 'http') {
    const written = TLS_ONLY.filter((name) => given[name] !== undefined && given[name] !== NO_CERTIFICATE)
    const also = given.unsafe_skip_verify ? (['unsafe_skip_verify'] as const) : []
    for (const name of [...written, ...also]) {
      problems.push({ path: `${at}.${name}`, message: 'has no meaning over http; use https, or remove it' })
    }
  }
  return [...problems, ...checkVerification(given)]
}

/** Somebody would believe that lists are asked. */
export function checkRevocationMode(
  { at, proxy_revocation_check_mode: mode }: WrittenService,
  { proxy_ssl_crl: lists }: ProxyConfig,
): Problem[] {
  if (lists || mode === undefined || mode === 'SKIP') return []
  const message = 'has no effect without lists; set proxy.proxy_ssl_crl, or remove it'
  return [{ path: `${at}.proxy_revocation_check_mode`, message }]
}

function checkVerification({ at, tls_verify: verify, unsafe_skip_verify: skip }: WrittenService): Problem[] {
  if (verify === false && !skip) {
    return [
      {
        path: `${at}.tls_verify`,
        message:
          'is false, which alone does not turn verification off: remove it, or write unsafe_skip_verify: true beside it',
      },
    ]
  }
  if (verify === true && skip)
    return [{ path: `${at}.unsafe_skip_verify`, message: 'contradicts tls_verify: true; keep one of them' }]
  return []
}
