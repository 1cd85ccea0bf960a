import type { User, Users } from '../types.ts'

/** The claims that name a token's user. A user of the configuration is named by id only; any other user, such as a plugin's, is written out. */
export interface UserClaims {
  readonly sub: string
  readonly user?: {
    readonly name: string
    readonly groups: readonly string[]
    readonly custom_id?: string
    /** The configuration had a user with this id: it must still have one. */
    readonly known?: true
  }
}

export function claimsOfUser(user: User, users: Users): UserClaims {
  const { id: sub, name, groups, customId } = user
  const same = users.byId(sub)
  if (same === user) return { sub }
  return {
    sub,
    user: { name, groups, ...(customId !== undefined && { custom_id: customId }), ...(same && { known: true }) },
  }
}

/** Undefined for a user who was removed from the configuration, or disabled. */
export function userOfClaims({ sub, user }: UserClaims, users: Users): User | undefined {
  const same = users.byId(sub)
  if (!user || (user.known && !same)) return same
  if (users.isDisabled(sub) || users.isDisabled(user.name)) return undefined
  return { id: sub, name: user.name, groups: user.groups, customId: user.custom_id }
}
