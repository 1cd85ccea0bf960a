import type { User } from '../types.ts'

/**
 * Why a connection that was let in as `user` must end; undefined where it may go on.
 * @param now the user who is found now
 * @param gone the reason to give where another user or none is found
 */
export function changeOf(user: User, now: User | undefined, gone: string): string | undefined {
  if (now?.id !== user.id) return gone
  return haveSame(now.groups, user.groups) ? undefined : `the groups of ${user.name} are others now`
}

function haveSame(one: readonly string[], other: readonly string[]): boolean {
  return one === other || (one.length === other.length && one.every((group) => other.includes(group)))
}
