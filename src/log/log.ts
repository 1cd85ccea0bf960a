/** Everything that is logged goes through here: pino for events of the gateway itself, one JSON line per request, and one per failed handshake. */
import { type DestinationStream, pino } from 'pino'
import { type AccessLog, createAccessLog, escapeControls } from './access-log.ts'
import { StandardOutput } from './standard-output.ts'

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent'

export interface LogOptions {
  readonly level: LogLevel
  /** Where lines go, one or more whole ones per call; by default stdout, buffered. */
  readonly destination?: { write(lines: string): unknown }
}

/** A TLS handshake that failed. It may hold text that the peer sent, which is escaped. */
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
 * Fields are written as they are given, so a secret (Authorization, Cookie, a key) must never be given. Of an Error under `err`, the type, message,
 * code, stack and causes are written, and no other property: some errors of Node's carry whole certificates.
 */
export interface Log {
  readonly debug: Write
  readonly info: Write
  readonly warn: Write
  readonly error: Write
  /** Flushes at once. */
  readonly fatal: Write
  /** From now on; children that were made before keep theirs. */
  setLevel(level: LogLevel): void
  child(fields: Readonly<Record<string, unknown>>): Log
  handshakeFailed(failure: HandshakeFailure): void
  /**
   * Writes one line per request, at every log level; does nothing where it is not enabled.
   * @param options.secretParameters query parameters whose values are not logged
   */
  accessLog(options: { readonly enabled: boolean; readonly secretParameters?: ReadonlySet<string> }): AccessLog
  /** Writes lines that were made by another process of this gateway. */
  relay(lines: string): void
  /** Resolves once everything buffered is written, or after a second. The exit of the process writes what it can without waiting. */
  flush(): Promise<void>
}

export function createLog({ level, destination }: LogOptions): Log {
  const sink: Sink = destination ? { write: (lines) => destination.write(lines) } : new StandardOutput(lost)
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
  function lost(count: number): void {
    logger.warn({ count }, 'log lines were lost: standard output was not read, or its disk was full')
  }
  return wrap(logger, sink)
}

interface Sink {
  write(lines: string): unknown
  flush?(): Promise<void>
}

function wrap(logger: pino.Logger, sink: Sink): Log {
  return {
    debug: (fields, message) => logger.debug(fields, message),
    info: (fields, message) => logger.info(fields, message),
    warn: (fields, message) => logger.warn(fields, message),
    error: (fields, message) => logger.error(fields, message),
    fatal: (fields, message) => logger.fatal(fields, message),
    setLevel: (level) => {
      logger.level = level
    },
    child: (fields) => wrap(logger.child(fields), sink),
    handshakeFailed: (failure) => logger.info(failure, 'handshake failed'),
    accessLog: ({ enabled, secretParameters }) =>
      createAccessLog(enabled ? (line) => sink.write(line) : undefined, secretParameters),
    relay: (lines) => void sink.write(lines),
    flush: async () => sink.flush?.(),
  }
}

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
