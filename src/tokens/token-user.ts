import type { User, Users } from '../types.ts'
import type { Claims } from './tokens.ts'

/** The claims that say whose a token is. A user of the configuration is named by id alone; any other, as a plugin's, is written out. */
export interface UserClaims {
  readonly sub: string
  readonly user?: { readonly name: string; readonly groups: readonly string[]; readonly custom_id?: string }
}

export function claimsOfUser(user: User, users: Users): UserClaims {
  const { id: sub, name, groups, customId } = user
  if (users.byId(sub) === user) return { sub }
  return { sub, user: { name, groups, ...(customId === undefined ? {} : { custom_id: customId }) } }
}

/** Undefined for a user of the configuration who is gone. */
export function userOfClaims({ sub, user }: Claims & Partial<UserClaims>, users: Users): User | undefined {
  if (!user) return users.byId(sub)
  return { id: sub, name: user.name, groups: user.groups, customId: user.custom_id }
}
