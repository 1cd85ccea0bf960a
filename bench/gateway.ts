/** What the bench knows of a gateway. */
import { readFileSync } from 'node:fs'
import type { Pki } from './pki.ts'

/**
 * `bare` is one route and no access log; `real` has ten and one JSON line per request; the others are for Sallyport alone: its growth, two workers
 * instead of one, so many connections that limits must be raised, and a route that asks for a user.
 */
export type Job =
  | 'bare'
  | 'real'
  | 'ten-routes'
  | '10000-routes'
  | 'ten-names'
  | '10000-names'
  | 'two-workers'
  | 'many'
  | 'mapping'

/** What one gateway is to do, and where. */
export interface Site {
  /** Its own folder, for configuration and output. */
  readonly home: string
  readonly port: number
  /** For gateways that tell their readiness on another port. */
  readonly adminPort: number
  readonly upstreamPort: number
  readonly pki: Pki
  readonly job: Job
  /** A revocation list of the CA, in a file. */
  readonly crl?: string
}

export interface Launch {
  readonly command: string
  readonly args: readonly string[]
  readonly env?: NodeJS.ProcessEnv
  /** A plain HTTP address that answers 200 once the gateway calls itself ready. */
  readonly readyUrl?: string
}

/**
 * Every gateway does the same work and no more: demands a client certificate, verifies the upstream, shows its own
 * certificate to it, sets VERIFIED and DN, keeps connections alive on both sides; one worker, no access log but for `real`.
 */
export interface Gateway {
  readonly name: string
  readonly jobs: ReadonlySet<Job>
  /** Whether it compiles what is hot while it runs: then its first rounds say nothing. */
  readonly warmsUp: boolean
  /** Version and TLS library, or undefined where it is not installed. */
  version(): Promise<string | undefined>
  configure(site: Site): Launch
}

/** For gateways that run on Node. */
export function nodeVersion(manifest: string): string {
  const { version } = JSON.parse(readFileSync(manifest, 'utf8'))
  return `${version}, Node ${process.versions.node}, OpenSSL ${process.versions.openssl}`
}
