import type { User } from '../types.ts'

/**
 * Why whoever was let in as `user` may not go on, as he is found by now; undefined where he may.
 * @param gone what to say where somebody else is found, or nobody
 */
export function changeOf(user: User, now: User | undefined, gone: string): string | undefined {
  if (now?.id !== user.id) return gone
  return haveSame(now.groups, user.groups) ? undefined : `the groups of ${user.name} are others now`
}

function haveSame(one: readonly string[], other: readonly string[]): boolean {
  return one === other || (one.length === other.length && one.every((group) => other.includes(group)))
}
