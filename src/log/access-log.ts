/** The access log: one JSON line for every request, on every way out. */
import { ConnectionNotes } from '../connection-notes.ts'
import type { Fault, GatewayError } from '../errors.ts'
import { isNamed } from '../http-fields/field-names.ts'
import type { HttpRequest } from '../http-messages.ts'
import type { CallRecord, Connection } from '../types.ts'

/** One finished request. */
export interface AccessEntry extends Readonly<CallRecord> {
  readonly id: string
  readonly connection: Connection
  readonly request: Pick<HttpRequest, 'method' | 'url' | 'httpVersion' | 'rawHeaders'>
  readonly route: { readonly name: string } | undefined
  /** Undefined where the route asks nobody who he is, or the caller was not identified. */
  readonly user: string | undefined
  /** The status on the wire, or nginx's 499 where the client left before there was one. */
  readonly status: number
  /** With headers, as nginx's `$request_length` and `$bytes_sent`. */
  readonly bytesReceived: number
  readonly bytesSent: number
  /** Milliseconds. */
  readonly duration: number
  readonly error: GatewayError | undefined
  /** Who caused an answer to be cut off after it had begun. */
  readonly termination: Fault | undefined
}

/** A refusal before there was a request: bytes that are no HTTP, plain HTTP on the TLS port, headers too large or too slow. */
export interface RefusedBytes {
  readonly id: string
  readonly error: GatewayError
  /** Undefined before the handshake has finished. */
  readonly connection: Connection | undefined
  readonly remoteAddress: string | undefined
  readonly remotePort: number | undefined
}

export interface AccessLog {
  /** One line for a finished request. */
  write(entry: AccessEntry): void
  /** One line for what never became a request. */
  refused(refusal: RefusedBytes): void
}

const NONE: ReadonlySet<string> = new Set()

/**
 * @param write called with one whole line; undefined switches the log off
 * @param secretParameters query parameters whose values are hidden, besides those whose names show that they are secret
 */
export function createAccessLog(
  write: ((line: string) => void) | undefined,
  secretParameters: ReadonlySet<string> = NONE,
): AccessLog {
  if (write === undefined) return { write: () => {}, refused: () => {} }
  return {
    write: (entry) => write(requestLine(entry, secretParameters)),
    refused: (refusal) => write(refusedLine(refusal)),
  }
}

/** Built by hand because it runs for every request. Only values that somebody else chose need escaping. */
function requestLine(entry: AccessEntry, secretParameters: ReadonlySet<string>): string {
  const { request, error } = entry
  let line = `{"level":"info","time":"${isoTime(Date.now())}","msg":"request","request_id":${json(entry.id)}`
  line += `,${connectionPart(entry.connection)},"method":${json(request.method ?? '')}${headerParts(request.rawHeaders)}`
  line += `,"path":${json(withoutSecrets(request.url ?? '', secretParameters))},"protocol":"HTTP/${request.httpVersion}"`
  line += `,"status":${entry.status},"bytes_received":${entry.bytesReceived},"bytes_sent":${entry.bytesSent}`
  line += `,"duration_ms":${milliseconds(entry.duration)}`
  if (entry.route !== undefined) line += `,"route":${json(entry.route.name)}`
  if (entry.user !== undefined) line += `,"user":${json(entry.user)}`
  if (entry.service !== undefined) line += `,"service":${json(entry.service)}`
  if (entry.target !== undefined) line += `,"target":${json(entry.target)}`
  if (entry.upstreamStatus !== undefined) line += `,"upstream_status":${entry.upstreamStatus}`
  if (entry.upstreamTime !== undefined) line += `,"upstream_time_ms":${milliseconds(entry.upstreamTime)}`
  if (entry.attempts > 0) line += `,"attempts":${entry.attempts}`
  if (error !== undefined) line += errorPart(error)
  if (entry.termination !== undefined) line += `,"termination":"${entry.termination}"`
  return `${line}}\n`
}

function refusedLine({ id, error, connection, remoteAddress, remotePort }: RefusedBytes): string {
  const peer = connection ? connectionPart(connection) : peerPart(remoteAddress, remotePort)
  const status = error.entry.logStatus ?? error.entry.status
  const head = `{"level":"info","time":"${isoTime(Date.now())}","msg":"request","request_id":${json(id)}`
  return `${head},${peer},"status":${status}${errorPart(error)}}\n`
}

function errorPart(error: GatewayError): string {
  const part = `,"code":"${error.code}","detail":${json(error.detail)}`
  if (!(error.cause instanceof Error) || error.cause.message === error.detail) return part
  const { code } = error.cause as NodeJS.ErrnoException
  return `${part},"cause":${json(code ? `${code}: ${error.cause.message}` : error.cause.message)}`
}

const connectionParts = new ConnectionNotes<string>()

/** The same for all requests of a connection, so it is made once. */
function connectionPart(connection: Connection): string {
  const known = connectionParts.get(connection)
  if (known !== undefined) return known
  const made = describeConnection(connection)
  connectionParts.set(connection, made)
  return made
}

function describeConnection(connection: Connection): string {
  const { certificate, verification } = connection
  const tls = {
    version: connection.protocol,
    cipher: connection.cipher,
    resumed: connection.resumed,
    server_name: connection.serverName,
  }
  const failed = verification.result === 'FAILED' ? verification : undefined
  const fields = {
    tls,
    policy: connection.policy,
    verify: verification.result,
    verify_reason: failed?.reason,
    verify_code: failed?.code,
    subject: shortened(certificate?.subject),
    issuer: shortened(certificate?.issuer),
    serial: shortened(certificate?.serial),
    fingerprint: certificate?.fingerprintSha256,
  }
  const peer = peerPart(connection.remoteAddress, connection.remotePort)
  return `"connection_id":${json(connection.id)},${peer},${escapeControls(JSON.stringify(fields)).slice(1, -1)}`
}

/**
 * A stranger's certificate may be called by tens of thousands of characters, and each request of its connection repeats them: a few bytes from him
 * would become a thousand times as many in the log.
 */
const LONGEST = 1024

function shortened(text: string | undefined): string | undefined {
  return text === undefined || text.length <= LONGEST ? text : `${text.slice(0, LONGEST)}…`
}

function peerPart(address: string | undefined, port: number | undefined): string {
  return `"remote_addr":${json(address ?? '')},"remote_port":${port ?? 0}`
}

/** Host and User-Agent as the client wrote them. Authorization, cookies and all the rest stay out. */
function headerParts(rawHeaders: readonly string[]): string {
  let host: string | undefined
  let agent: string | undefined
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string
    if (isNamed(name, 'host')) host ??= rawHeaders[i + 1]
    else if (isNamed(name, 'user-agent')) agent ??= rawHeaders[i + 1]
  }
  return `${host === undefined ? '' : `,"host":${json(host)}`}${agent === undefined ? '' : `,"user_agent":${json(agent)}`}`
}

/**
 * The target as the client wrote it, with its query, as nginx logs it: operators search for it. Tokens and signed URLs travel in queries, so
 * parameters whose names suggest a secret lose their value.
 */
export function withoutSecrets(target: string, secretParameters: ReadonlySet<string> = NONE): string {
  const start = target.indexOf('?')
  if (start === -1) return target
  // A name may be percent-encoded and still be understood.
  if (secretParameters.size === 0 && !target.includes('%', start) && !SECRET.test(target)) return target
  const kept = target
    .slice(start + 1)
    .split('&')
    .map((pair) => {
      const equals = pair.indexOf('=')
      const name = decoded(pair.slice(0, Math.max(equals, 0)))
      return SECRET.test(name) || secretParameters.has(name) ? `${pair.slice(0, equals)}=***` : pair
    })
  return `${target.slice(0, start)}?${kept.join('&')}`
}

function decoded(name: string): string {
  try {
    return decodeURIComponent(name.replaceAll('+', ' '))
  } catch {
    return name
  }
}

const SECRET = /token|secret|passw|pwd|credential|signature|assertion|api.?key|auth|session|code|sig\b|\bkey\b|jwt/i

/** C1 controls and U+2028/2029: JSON leaves them as they are, but some terminals and log readers take them for line ends. */
const UNESCAPED_CONTROLS = /[\x7f-\x9f\u2028\u2029]/g

/** @param text JSON, where only strings can hold such characters */
export function escapeControls(text: string): string {
  return text.replace(UNESCAPED_CONTROLS, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

function json(text: string): string {
  return NEEDS_NO_ESCAPE.test(text) ? `"${text}"` : escapeControls(JSON.stringify(text))
}

/** Printable ASCII but `"` and `\\`: nearly everything, and this test costs less than JSON.stringify. */
const NEEDS_NO_ESCAPE = /^[ !#-[\]-~]*$/

/** From `000` to `999`. */
const THOUSANDTHS = Array.from({ length: 1000 }, (_, i) => String(i).padStart(3, '0'))

/** With three decimals, as V8 looks long for the shortest text of a number that is no integer. */
function milliseconds(value: number): string {
  const thousandths = Math.round(value * 1000)
  const whole = Math.floor(thousandths / 1000)
  return `${whole}.${THOUSANDTHS[thousandths - 1000 * whole]}`
}

let second = 0
let secondText = ''

/** ISO 8601 with milliseconds. The text up to the second is kept: it is the same for many lines. */
function isoTime(now: number): string {
  const part = Math.floor(now / 1000)
  if (part !== second) {
    second = part
    secondText = new Date(part * 1000).toISOString().slice(0, -4)
  }
  return `${secondText}${THOUSANDTHS[now - part * 1000]}Z`
}
