/** NATS's `tls { … }` block of a listener, for those who come from NATS: other words for settings of its first server. */
import type * as z from 'zod'
import type { Problem } from '../../errors.ts'
import { pem } from '../pem.ts'
import { located, type ResolveContext } from '../resolve/context.ts'
import { field, type Kind, list, natsBlock, Unfit } from './field.ts'
import type { WrittenListener } from './listeners.ts'
import { integer, matching, onOff, positiveDuration } from './scalars.ts'
import type { WrittenServer } from './servers.ts'

/** NATS writes seconds, also as a fraction, or a duration. */
const timeout: Kind<number> = {
  ...positiveDuration,
  expected: 'seconds such as 2 or 0.5, or a duration such as 2s',
  parse(value) {
    if (typeof value !== 'number' || Number.isInteger(value)) return positiveDuration.parse(value)
    const milliseconds = Math.round(value * 1000)
    if (milliseconds < 1 || milliseconds > 2 ** 31 - 1) throw new Unfit('')
    return milliseconds
  },
}

/** Other settings of NATS, and what to write instead. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  cipher_suites: 'write ssl_ciphers at the server',
  allow_insecure_cipher_suites: 'write ssl_ciphers at the server',
  curve_preferences: 'remove it',
  insecure: 'it is for outgoing connections; remove it',
  handshake_first: 'a TLS listener of HTTP always does so; remove it',
  first: 'a TLS listener of HTTP always does so; remove it',
  immediate: 'a TLS listener of HTTP always does so; remove it',
  certs: 'write a list for ssl_certificate at the server, or several servers',
  certificates: 'write a list for ssl_certificate at the server, or several servers',
  min_version: 'write ssl_protocols at the server',
  ocsp_peer: 'write ssl_ocsp at the server',
}

function unknownField(key: string): string {
  const name = key.toLowerCase()
  if (name === 'verify_cert_and_check_known_urls') return `${name} not supported in this context`
  const hint = Object.hasOwn(ELSEWHERE, name) ? `: ${ELSEWHERE[name]}` : ''
  return `error parsing tls config, unknown field ${JSON.stringify(key)}${hint}`
}

export const natsTls = natsBlock(
  "NATS's tls block: the same as settings of the listener and of its first server, in NATS's words.",
  {
    cert_file: field(pem, { about: 'ssl_certificate.' }),
    key_file: field(pem, { secret: true, about: 'ssl_certificate_key.' }),
    ca_file: field(pem, { about: 'ssl_client_certificate.' }),
    verify: field(onOff, { about: 'on: ssl_verify_client: on.' }),
    verify_and_map: field(onOff, {
      about: 'verify_and_map, which implies verify; with mapping: nats where the server says nothing else.',
    }),
    timeout: field(timeout, { about: 'handshake_timeout; a number is seconds.' }),
    pinned_certs: list(
      matching(/^[A-Fa-f0-9]{64}$/, 'the SHA-256 of a public key (SubjectPublicKeyInfo), 64 hex digits'),
      { about: 'pinned_certs.' },
    ),
    connection_rate_limit: field(integer(0, 1_000_000), { about: 'connection_rate_limit of the listener.' }),
  },
  unknownField,
)

type NatsTls = z.output<typeof natsTls>

/** The listener with its `tls` block read into its first server. */
export function withNatsTls(listener: WrittenListener, context: ResolveContext): WrittenListener {
  const { report, broken, ofCommandLine } = context
  const { tls, at } = listener
  if (!tls) return listener
  for (const problem of checkNatsTls(tls, `${at}.tls`)) report(problem)
  const [first, ...others] = located<WrittenServer>(listener.servers)
  if (!first) return listener
  // NATS's flags override the block.
  const given = Object.entries(settingsOf(tls, first)).filter(
    ([name, written]) => written !== undefined && !ofCommandLine.has(`${first.at}.${name}`),
  )
  for (const [name] of given) {
    if (!isWritten(first, name)) continue
    report({ path: `${first.at}.${name}`, message: `stands beside ${at}.tls, which sets it too; keep one of them` })
  }
  const ofListener = { handshake_timeout: tls.timeout, connection_rate_limit: tls.connection_rate_limit }
  for (const name of ['handshake_timeout', 'connection_rate_limit'] as const) {
    if (ofListener[name] === undefined || listener[name] === DEFAULTS[name]) continue
    report({ path: `${at}.${name}`, message: `stands beside ${at}.tls, which sets it too; keep one of them` })
  }
  const server = { ...first, ...Object.fromEntries(given) }
  if (broken.has(first) || broken.has(tls)) broken.add(server)
  return {
    ...listener,
    handshake_timeout: ofListener.handshake_timeout ?? listener.handshake_timeout,
    connection_rate_limit: ofListener.connection_rate_limit ?? listener.connection_rate_limit,
    servers: [server, ...others],
  }
}

/** A listener's setting at its default counts as not written. */
const DEFAULTS = { handshake_timeout: 10_000, connection_rate_limit: 0 } as const

/** Undefined means not given. */
type Given = { readonly [K in keyof WrittenServer]?: WrittenServer[K] | undefined }

function settingsOf(tls: NatsTls, { mapping }: WrittenServer): Given {
  const maps = tls.verify_and_map
  return {
    ssl_certificate: tls.cert_file && [tls.cert_file],
    ssl_certificate_key: tls.key_file && [tls.key_file],
    ssl_client_certificate: tls.ca_file,
    ssl_verify_client: tls.verify ? 'on' : undefined,
    verify_and_map: maps || undefined,
    mapping: maps && mapping === undefined ? 'nats' : undefined,
    pinned_certs: tls.pinned_certs?.map((pin) => pin.toLowerCase()),
  }
}

/** Whether the setting was written; a default does not count. */
function isWritten(server: WrittenServer, name: string): boolean {
  const value = server[name as keyof WrittenServer]
  return value !== undefined && value !== false && !(Array.isArray(value) && value.length === 0)
}

/** In the words of NATS. */
function checkNatsTls(
  { cert_file: cert, key_file: key, verify, verify_and_map: maps }: NatsTls,
  path: string,
): Problem[] {
  const problems: Problem[] = []
  if (cert && !key) problems.push({ path, message: "missing 'key_file' in TLS configuration" })
  if (key && !cert) problems.push({ path, message: "missing 'cert_file' in TLS configuration" })
  if (maps && verify === false)
    problems.push({ path: `${path}.verify`, message: 'contradicts verify_and_map, which verifies; remove one of them' })
  return problems
}

/** A problem with a value, in the words of NATS. */
export function inNatsWords(path: string, message: string): string {
  if (/\.tls\.(cert|key)_file$/.test(path)) return `error parsing X509 certificate/key pair: ${message}`
  return /\.tls\.ca_file$/.test(path) ? `failed to parse root ca certificate: ${message}` : message
}
