/** What every method plugin is asked and may answer, wherever it runs. */

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
  /** Something that says neither yes nor no, nor what is next. */
  | { readonly kind: 'unusable'; readonly reason: string }

export interface Plugin {
  /** Resolves once it can be asked. Rejects with a sentence for the operator. */
  ready(): Promise<void>
  /** Rejects where it did not answer: it broke, or took too long. */
  ask(call: PluginCall): Promise<PluginAnswer>
  /** From now on it holds nothing while it is not asked. Requests from before a reload may ask it even later, and are answered. */
  close(): void
}

/** What a plugin threw, which may be anything, in words for the log. */
export function wordsOf(thrown: unknown): string {
  try {
    return String(thrown instanceof Error ? thrown.message : thrown).slice(0, 500)
  } catch {
    return 'what cannot be written'
  }
}

/** What one answer may hold, as JSON. */
export const LONGEST_ANSWER = 64 * 1024
