/** The users that the configuration knows. */
import type { User, Users } from '../types.ts'

/** A user as the configuration has it: Kong's consumer. */
export interface UserSettings {
  readonly id: string
  readonly name: string
  readonly custom_id: string | undefined
  readonly groups: readonly string[]
}

/**
 * One frozen User each, so that what is derived from a user can be remembered with it.
 * @param disabled users whom nothing lets in
 */
export function createUsers(
  settings: readonly UserSettings[],
  disabled: readonly Pick<UserSettings, 'id' | 'name'>[] = [],
): Users {
  const byName = new Map<string, User>()
  const byId = new Map<string, User>()
  for (const { id, name, custom_id: customId, groups } of settings) {
    const user = Object.freeze({ id, name, groups: Object.freeze([...groups]), customId })
    byName.set(name, user)
    byId.set(id, user)
  }
  const barred = new Set(disabled.flatMap(({ id, name }) => [id, name]))
  return {
    byName: (name) => byName.get(name),
    byId: (id) => byId.get(id),
    isDisabled: (nameOrId) => barred.has(nameOrId),
    isIdOfAnother: (name) => byId.has(name) && !byName.has(name),
  }
}
