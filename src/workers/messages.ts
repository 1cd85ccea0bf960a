/** The messages between the supervisor and its workers, over the channel that node:cluster opens. */
import type { AddressInfo } from 'node:net'
import type { LoadOptions } from '../config/index.ts'
import type { Problem } from '../errors.ts'
import type { MetricsSnapshot } from '../metrics/metrics.ts'
import type { Store } from '../types.ts'

/** What a worker needs to read the same configuration as the supervisor. Secrets are sent this way, never in the worker's environment. */
export interface WorkerLoad {
  readonly file: string | undefined
  readonly env: Readonly<Record<string, string | undefined>>
  readonly overrides: LoadOptions['overrides']
}

export interface StoreQuestion {
  readonly kind: 'store'
  readonly id: number
  readonly operation: keyof Store
  /** The arguments, in order. */
  readonly values: readonly (string | number)[]
}

/** `refused` says why there is no answer. */
export type StoreAnswer =
  | { readonly kind: 'stored'; readonly id: number; readonly value: string | number | boolean | undefined }
  | { readonly kind: 'stored'; readonly id: number; readonly refused: string }

/** An intermediate certificate that a worker has verified: the others can then find the chains of sessions that they resume. */
export interface Intermediate {
  readonly kind: 'intermediate'
  readonly der: Uint8Array
}

/** A worker has fetched revocation lists: what they say, with a digest of where they come from. */
export interface Fetched {
  readonly kind: 'fetched'
  readonly source: string
  readonly statement: string
}

/** Messages that concern all workers. */
export type ToKnow = StoreQuestion | Intermediate | Fetched

/** What the other workers have reported before this one is started. */
export interface StartsWith {
  readonly intermediates: readonly Intermediate[]
  /** Of what fetched lists say. */
  readonly edition: number
}

export type ToWorker =
  | StoreAnswer
  | {
      readonly kind: 'start'
      readonly load: WorkerLoad
      /** Where relative paths begin, absolute. */
      readonly folder: string
      /** How many workers share the limits. */
      readonly workers: number
      /** Session ticket keys are derived from it, so that all workers can resume each other's sessions. Hexadecimal. */
      readonly ticketSecret: string
      /** When the supervisor was started, in milliseconds since the epoch. */
      readonly startedAt: number
      readonly soFar: StartsWith
    }
  | Intermediate
  /** Fetched lists say something else than before. */
  | { readonly kind: 'statement'; readonly edition: number; readonly source: string; readonly statement: string }
  | { readonly kind: 'reload'; readonly id: number; readonly reason: string }
  | { readonly kind: 'metrics'; readonly id: number }
  | { readonly kind: 'stop' }
  /** The answer to `ended`. Whatever was sent before it, such as a connection that was handed over late, has been handled by then. */
  | { readonly kind: 'exit' }

export type FromWorker =
  | ToKnow
  | { readonly kind: 'started'; readonly addresses: readonly AddressInfo[] }
  | { readonly kind: 'refused'; readonly problems: readonly Problem[] }
  | { readonly kind: 'reloaded'; readonly id: number; readonly accepted: boolean }
  | { readonly kind: 'metrics'; readonly id: number; readonly metrics: MetricsSnapshot }
  /** The worker has drained and waits for `exit`. */
  | { readonly kind: 'ended'; readonly finished: boolean; readonly metrics: MetricsSnapshot }
  | { readonly kind: 'gone' }
