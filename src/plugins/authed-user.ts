import type { User, Users } from '../types.ts'

/** The parts of Docker's `AuthedUser` that are used. `Scheme` is always `External` for Docker's hosts, so it says nothing. */
interface AuthedUser {
  /** The UID in decimal where there is no name. */
  readonly name: string
  readonly groups: readonly string[]
}

/** An ambiguous answer: it counts as no answer. */
export class AuthedUserError extends Error {}

const LONGEST_NAME = 256
const MOST_GROUPS = 1000
const LARGEST_UID = 2 ** 32 - 1

/**
 * The user whom an answer names; undefined where it names nobody. Keys in any letter case, as Go reads them. A name of a consumer is that consumer,
 * with its id and the groups of both. Any other name is a user whose id is that name, or the UID where there is no name.
 * @throws AuthedUserError
 */
export function userOf(answer: Readonly<Record<string, unknown>>, users: Users): User | undefined {
  const authed = readAuthedUser(memberOf(answer, 'autheduser'))
  if (!authed) return undefined
  const { name, groups } = authed
  const known = users.byName(name)
  return Object.freeze({
    id: known?.id ?? name,
    name,
    groups: Object.freeze([...new Set([...(known?.groups ?? []), ...groups])]),
    customId: known?.customId,
  })
}

function readAuthedUser(value: unknown): AuthedUser | undefined {
  if (value === undefined || value === null) return undefined
  if (typeof value !== 'object') throw new AuthedUserError('AuthedUser is no object')
  const name = memberOf(value, 'name') ?? ''
  const uid = memberOf(value, 'haveuid') === true ? (memberOf(value, 'uid') ?? 0) : undefined
  const groups = memberOf(value, 'groups') ?? []
  if (typeof name !== 'string' || name.length > LONGEST_NAME || hasControls(name))
    throw new AuthedUserError('AuthedUser.Name is no name')
  if (uid !== undefined && !isUid(uid)) throw new AuthedUserError('AuthedUser.UID is no number from 0 to 4294967295')
  if (!Array.isArray(groups) || groups.length > MOST_GROUPS || groups.some((group) => !isGroup(group)))
    throw new AuthedUserError('AuthedUser.Groups is no list of names')
  if (name === '' && uid === undefined) return undefined
  return { name: name === '' ? String(uid) : name, groups }
}

function isUid(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= LARGEST_UID
}

function isGroup(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= LONGEST_NAME && !hasControls(value)
}

function hasControls(text: string): boolean {
  return /\p{Cc}/u.test(text)
}

/** Keys in any case, as Go reads them. */
export function memberOf(object: object, name: string): unknown {
  return Object.entries(object).find(([key]) => key.toLowerCase() === name)?.[1]
}
