/** The calls to a method plugin and its answers, whether it is a module or a program. */

/** Keystone's three arguments. All of it is JSON. */
export interface PluginCall {
  readonly context: Readonly<Record<string, unknown>>
  readonly payload: unknown
  /** What the methods before it in the rule agreed on: `user_id`, `method_names` and so on. */
  readonly auth_context: Readonly<Record<string, unknown>>
}

export type PluginAnswer =
  /** What it returned, and which members of `auth_context` it has set. */
  | { readonly kind: 'returned'; readonly value: unknown; readonly set: Readonly<Record<string, unknown>> }
  | { readonly kind: 'unauthorized'; readonly reason: string }
  /** An answer that is neither yes nor no, nor a next step. */
  | { readonly kind: 'unusable'; readonly reason: string }

export interface Plugin {
  /** Resolves once it can be asked. Rejects with a sentence for the operator. */
  ready(): Promise<void>
  /** Rejects where it did not answer: it broke, or took too long. */
  ask(call: PluginCall): Promise<PluginAnswer>
  /** Releases everything that it holds while it is idle. Requests from before a reload may still call it, and are answered. */
  close(): void
}

/** Describes for the log what a plugin threw, which may be anything. */
export function wordsOf(thrown: unknown): string {
  try {
    return String(thrown instanceof Error ? thrown.message : thrown).slice(0, 500)
  } catch {
    return 'what cannot be written'
  }
}

/** What one answer may hold, as JSON. */
export const LONGEST_ANSWER = 64 * 1024
