/** Every refusal that a client can meet, in one table; docs/errors.md repeats it and a test compares the two. */

/** Who is at fault: decides the log level, and whether the target counts as unhealthy. */
export type Fault = 'client' | 'upstream' | 'gateway'

interface CodeEntry {
  /** The HTTP status on the wire. */
  readonly status: number
  readonly fault: Fault
  /** The title of the answer; nginx's own words where it has the same refusal. */
  readonly title: string
  /** What the client can do about it. */
  readonly remedy: string
  /** The status in the access log where it differs from the one on the wire, as nginx's 499. */
  readonly logStatus?: number
  /** Whether the connection is closed after the answer, as nginx does where it no longer trusts it. */
  readonly closes?: boolean
}

const CODES = {
  GW_BAD_REQUEST: {
    status: 400,
    fault: 'client',
    closes: true,
    title: 'Bad Request',
    remedy: 'Send a well-formed HTTP/1.1 request (RFC 9112).',
  },
  GW_BAD_PATH: {
    status: 400,
    fault: 'client',
    title: 'Bad Request',
    remedy:
      'Send a path without dot segments, backslashes, control characters, encoded slashes, or parameters (;) in front of what it is about.',
  },
  GW_CLIENT_CERTIFICATE_INVALID: {
    status: 400,
    fault: 'client',
    closes: true,
    title: 'The SSL certificate error',
    remedy: 'Present a certificate that this server trusts: valid today, meant for client authentication, not revoked.',
  },
  GW_CLIENT_CERTIFICATE_REQUIRED: {
    status: 400,
    fault: 'client',
    closes: true,
    title: 'No required SSL certificate was sent',
    remedy:
      'Present a client certificate of a CA that this server trusts, with its intermediates: many programs send no certificate without them.',
  },
  GW_IDENTITY_TOO_LARGE: {
    status: 400,
    fault: 'client',
    title: 'Client Certificate Too Large',
    remedy: 'Present a smaller certificate or a shorter chain, or ask the operator to raise identity_headers_max_size.',
  },
  GW_PLAIN_HTTP: {
    status: 400,
    fault: 'client',
    closes: true,
    title: 'The plain HTTP request was sent to HTTPS port',
    remedy: 'Use https:// for this address.',
  },
  GW_UNAUTHENTICATED: {
    status: 401,
    fault: 'client',
    title: 'Authorization Required',
    remedy:
      'Say who you are, in one of the ways that WWW-Authenticate names or with a client certificate that belongs to a user.',
  },
  GW_FORBIDDEN: {
    status: 403,
    fault: 'client',
    title: 'Forbidden',
    remedy: 'This is refused to you; ask the operator for the right to do it.',
  },
  GW_ROUTE_NOT_FOUND: {
    status: 404,
    fault: 'client',
    title: 'Not Found',
    remedy: 'No route matches this host, path and method; check the URL.',
  },
  GW_METHOD_NOT_ALLOWED: {
    status: 405,
    fault: 'client',
    closes: true,
    title: 'Not Allowed',
    remedy: 'The gateway does not serve CONNECT or TRACE.',
  },
  GW_REQUEST_TIMEOUT: {
    status: 408,
    fault: 'client',
    closes: true,
    title: 'Request Time-out',
    remedy: 'Send the whole request sooner.',
  },
  GW_BODY_TOO_LARGE: {
    status: 413,
    fault: 'client',
    closes: true,
    title: 'Request Entity Too Large',
    remedy: 'Send a smaller body, or ask the operator to raise client_max_body_size.',
  },
  GW_URI_TOO_LONG: {
    status: 414,
    fault: 'client',
    closes: true,
    title: 'Request-URI Too Large',
    remedy: 'Send a shorter URL.',
  },
  GW_EXPECTATION_FAILED: {
    status: 417,
    fault: 'client',
    closes: true,
    title: 'Expectation Failed',
    remedy: 'Send no Expect header other than 100-continue.',
  },
  GW_MISDIRECTED: {
    status: 421,
    fault: 'client',
    closes: true,
    title: 'Misdirected Request',
    remedy: 'Open a new connection whose TLS server name is the Host of the request.',
  },
  GW_HEADERS_TOO_LARGE: {
    status: 431,
    fault: 'client',
    closes: true,
    title: 'Request Header Fields Too Large',
    remedy: 'Send fewer or shorter header fields and cookies, or a shorter URL.',
  },
  GW_CLIENT_CLOSED: {
    status: 400,
    logStatus: 499,
    fault: 'client',
    closes: true,
    title: 'Client Closed Request',
    remedy: 'The client left before the answer was complete.',
  },
  GW_INTERNAL: {
    status: 500,
    fault: 'gateway',
    closes: true,
    title: 'Internal Server Error',
    remedy: 'Tell the operator the request id; the log line with that id says why.',
  },
  GW_TRANSFER_CODING: {
    status: 501,
    fault: 'client',
    closes: true,
    title: 'Not Implemented',
    remedy: 'Send the body with Content-Length, or with Transfer-Encoding: chunked and nothing else.',
  },
  GW_UPSTREAM_CONNECT: {
    status: 502,
    fault: 'upstream',
    title: 'Bad Gateway',
    remedy: 'The service behind the gateway cannot be reached; try again later.',
  },
  GW_UPSTREAM_TLS: {
    status: 502,
    fault: 'upstream',
    title: 'Bad Gateway',
    remedy:
      'The gateway and the service behind it do not agree on TLS; the operator must check the certificates of both.',
  },
  GW_UPSTREAM_REFUSED_CERTIFICATE: {
    status: 502,
    fault: 'upstream',
    title: 'Bad Gateway',
    remedy: "The service behind the gateway refused the gateway's certificate; the operator must check it.",
  },
  GW_UPSTREAM_RESPONSE: {
    status: 502,
    fault: 'upstream',
    title: 'Bad Gateway',
    remedy: 'The service behind the gateway sent no usable answer; try again later.',
  },
  GW_UPSTREAM_RESET: {
    status: 502,
    fault: 'upstream',
    title: 'Bad Gateway',
    remedy: 'The service behind the gateway closed the connection before its answer; try again later.',
  },
  GW_NO_TARGET: {
    status: 503,
    fault: 'upstream',
    title: 'Service Temporarily Unavailable',
    remedy: 'No target of this service is available; try again later.',
  },
  GW_UNDECIDED: {
    status: 503,
    fault: 'gateway',
    title: 'Service Temporarily Unavailable',
    remedy: 'The gateway cannot find out at the moment who you are or what you may do; try again later.',
  },
  GW_OVERLOADED: {
    status: 503,
    fault: 'gateway',
    title: 'Service Temporarily Unavailable',
    remedy: 'The gateway is at a configured limit; try again later.',
  },
  GW_UPSTREAM_TIMEOUT: {
    status: 504,
    fault: 'upstream',
    title: 'Gateway Time-out',
    remedy: 'The service behind the gateway took too long; try again later.',
  },
} as const satisfies Record<string, CodeEntry>

export type ErrorCode = keyof typeof CODES

/** The table, for the reference in docs/errors.md and its test. */
export const ERROR_CODES: Readonly<Record<ErrorCode, CodeEntry>> = CODES

/**
 * A refusal. The client sees the code's title and remedy and the request id; `detail` and `cause` go to the log only.
 */
export class GatewayError extends Error {
  readonly code: ErrorCode
  readonly detail: string
  /** Flat name, value list of headers that the answer needs, such as one WWW-Authenticate for each way to authenticate. */
  readonly headers: readonly string[]
  /** Further members of a JSON answer, such as Keystone's next steps. */
  readonly members: Readonly<Record<string, unknown>>
  /** The whole JSON body in place of title and remedy, where the protocol has a form for errors. */
  readonly body: object | undefined

  constructor(
    code: ErrorCode,
    detail: string,
    options?: {
      cause?: unknown
      headers?: readonly string[]
      members?: Readonly<Record<string, unknown>>
      body?: object
    },
  ) {
    super(`${code}: ${detail}`, options)
    this.name = 'GatewayError'
    this.code = code
    this.detail = detail
    this.headers = options?.headers ?? []
    this.members = options?.members ?? {}
    this.body = options?.body
  }

  get entry(): CodeEntry {
    return CODES[this.code]
  }
}

/** Anything that was thrown as a GatewayError. What nobody foresaw is our own fault: GW_INTERNAL. */
export function toGatewayError(caught: unknown): GatewayError {
  if (caught instanceof GatewayError) return caught
  const detail = caught instanceof Error ? caught.message : String(caught)
  return new GatewayError('GW_INTERNAL', detail, { cause: caught })
}

/** One thing that is wrong with a configuration, and where it stands. */
export interface Problem {
  /** The setting, as `services[0].url`, or the environment variable's name. */
  readonly path: string
  /** What is wrong and what to write instead; never a secret's value. */
  readonly message: string
  /** The file that holds it, or `environment`. */
  readonly source?: string
  /** From 1. */
  readonly line?: number
  /** From 1. */
  readonly column?: number
}

/** A configuration that cannot be used, with everything that is wrong with it. */
export class ConfigError extends Error {
  readonly problems: readonly Problem[]

  constructor(problems: readonly Problem[]) {
    super(problems.map(describeProblem).join('\n'))
    this.name = 'ConfigError'
    this.problems = problems
  }
}

/** Sorts problems in the order of the file, as people mend them. Problems without a line, such as those of variables, come last. */
export function byLine(a: Problem, b: Problem): number {
  return (
    (a.line ?? Number.POSITIVE_INFINITY) - (b.line ?? Number.POSITIVE_INFINITY) ||
    (a.column ?? 0) - (b.column ?? 0) ||
    0
  )
}

/** `file:line:column: setting: message`, the shape that editors and terminals link. */
export function describeProblem({ source, line, column, path, message }: Problem): string {
  const place = [source, line, line === undefined ? undefined : column].filter((part) => part !== undefined).join(':')
  return [place, shortened(path.replace(BEHIND_A_COLON, ':…'), LONGEST_PATH), shortened(message, LONGEST_MESSAGE)]
    .filter((part) => part !== '')
    .map(visible)
    .join(': ')
}

/** No setting has one, but lines of password files do, which read as keys without a value where such a file is named by mistake. */
const BEHIND_A_COLON = /:.*/s

/** Characters. A file of the wrong kind may have a line of megabytes where a key is expected. */
const LONGEST_PATH = 500
const LONGEST_MESSAGE = 5000

function shortened(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most)}…` : text
}

/** What somebody else wrote must not move the cursor of whoever reads it on a terminal, nor turn its text around. */
export function visible(line: string): string {
  return line.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`)
}
