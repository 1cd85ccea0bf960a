/** The one home of what is logged: pino for what happens to the gateway, one JSON line per request, one per failed handshake. */
import { type DestinationStream, pino, destination as pinoDestination } from 'pino'
import { type AccessLog, createAccessLog, escapeControls } from './access-log.ts'

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent'

export interface LogOptions {
  readonly level: LogLevel
  /** Where lines go, one or more whole ones per call; by default stdout, buffered. */
  readonly destination?: { write(lines: string): unknown }
}

/** A TLS handshake that did not become a Connection. Whatever the peer sent may stand in it; it is escaped. */
export interface HandshakeFailure {
  readonly remote_addr: string | undefined
  readonly remote_port: number | undefined
  readonly server_name: string | undefined
  /** OpenSSL's or Node's sentence. */
  readonly reason: string
  /** Node's name for it, as `ERR_SSL_NO_SHARED_CIPHER` or `ECONNRESET`. */
  readonly code: string
}

type Write = (fields: Readonly<Record<string, unknown>>, message: string) => void

/**
 * Fields are written as given, so what is secret (Authorization, Cookie, keys) is never given. An Error under `err` is written with its
 * type, message, code, stack and causes, and none of its other properties: some of Node's carry whole certificates.
 */
export interface Log {
  readonly debug: Write
  readonly info: Write
  readonly warn: Write
  readonly error: Write
  /** Flushes at once. */
  readonly fatal: Write
  child(fields: Readonly<Record<string, unknown>>): Log
  handshakeFailed(failure: HandshakeFailure): void
  /** One line per request, whatever the level, or none at no cost. */
  /** @param options.secretParameters of the query, whose values are not logged */
  accessLog(options: { readonly enabled: boolean; readonly secretParameters?: ReadonlySet<string> }): AccessLog
  /** Writes lines that another process of this gateway has made. */
  relay(lines: string): void
  /** Writes what is buffered; blocks until it is written. Done by itself when the process exits. */
  flush(): void
}

export function createLog({ level, destination }: LogOptions): Log {
  const sink: Sink = destination ? { write: (lines) => destination.write(lines), flushSync: () => {} } : stdout()
  const logger = pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: describeError },
      hooks: { streamWrite: escapeControls },
    },
    sink as DestinationStream,
  )
  return wrap(logger, sink)
}

function wrap(logger: pino.Logger, sink: Sink): Log {
  return {
    debug: (fields, message) => logger.debug(fields, message),
    info: (fields, message) => logger.info(fields, message),
    warn: (fields, message) => logger.warn(fields, message),
    error: (fields, message) => logger.error(fields, message),
    fatal: (fields, message) => logger.fatal(fields, message),
    child: (fields) => wrap(logger.child(fields), sink),
    handshakeFailed: (failure) => logger.info(failure, 'handshake failed'),
    accessLog: ({ enabled, secretParameters }) =>
      createAccessLog(enabled ? (line) => sink.write(line) : undefined, secretParameters),
    relay: (lines) => void sink.write(lines),
    flush: () => sink.flushSync(),
  }
}

interface Sink {
  write(lines: string): unknown
  flushSync(): void
}

/**
 * Standard output in chunks: lines gather here for up to FLUSH_INTERVAL, as sonic-boom measures its whole buffer anew on each write. Bounded: where the reader does not
 * keep up, whole chunks are dropped, since a full pipe must not stop the gateway. A reader that is gone, or a full disk, does not end it either.
 */
function stdout(): Sink {
  const out = pinoDestination({ dest: 1, sync: false, maxLength: MAX_BUFFERED })
  out.on('error', () => {})
  let gathered = ''
  let timer: NodeJS.Timeout | undefined

  const flush = (): void => {
    clearTimeout(timer)
    timer = undefined
    const lines = gathered
    gathered = ''
    if (lines !== '') out.write(lines)
  }
  const flushSync = (): void => {
    flush()
    try {
      out.flushSync()
    } catch {
      // The reader is gone or will not read: nobody is left to tell.
    }
  }
  process.on('exit', flushSync)
  return {
    write(lines) {
      gathered += lines
      if (gathered.length >= CHUNK) flush()
      else timer ??= setTimeout(flush, FLUSH_INTERVAL).unref()
    },
    flushSync,
  }
}

const CHUNK = 64 * 1024
const FLUSH_INTERVAL = 50
const MAX_BUFFERED = 16 * 1024 * 1024

interface DescribedError {
  readonly type: string
  readonly message: string
  readonly code?: unknown
  readonly stack?: string
  readonly cause?: unknown
}

function describeError(error: unknown, depth = 0): DescribedError | string {
  if (!(error instanceof Error)) return String(error)
  const { code } = error as NodeJS.ErrnoException
  return {
    type: error.name,
    message: error.message,
    ...(code === undefined ? {} : { code }),
    ...(error.stack === undefined ? {} : { stack: error.stack }),
    ...(error.cause === undefined || depth >= MAX_CAUSES ? {} : { cause: describeError(error.cause, depth + 1) }),
  }
}

const MAX_CAUSES = 4
