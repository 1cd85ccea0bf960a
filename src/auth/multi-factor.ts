/** Keystone's `multi_factor_auth_rules`: combinations of methods of which a user must pass one, wherever he comes in. */
import type { User } from '../types.ts'

/** The combinations that count for a user; none where any method will do. */
export type MultiFactorRules = (user: User) => readonly (readonly string[])[]

export function isEnough(combinations: readonly (readonly string[])[], passed: readonly string[]): boolean {
  return combinations.length === 0 || combinations.some((methods) => methods.every((name) => passed.includes(name)))
}
