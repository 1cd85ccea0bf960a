/** Turns a plugin's answer into an outcome. Nothing about the answer's form is taken for granted. */
import type { Identity, Outcome, User, Users } from '../../types.ts'
import type { PluginAnswer } from './plugin.ts'

export interface VerdictOptions {
  readonly users: Users
  /** Whether a plugin may bring users whom the configuration does not know. */
  readonly ephemeralUsers: boolean
}

type Members = Readonly<Record<string, unknown>>

/** The challenge is passed to the client in a body and comes back through it, so its size is bounded. */
const LONGEST_CHALLENGE = 8192
const ATTRIBUTES = ['project_id', 'domain_id', 'access_token_id'] as const

export function verdictOf(answer: PluginAnswer, found: Identity | undefined, options: VerdictOptions): Outcome {
  if (answer.kind !== 'returned') return denied(answer.reason)
  const { value, set } = answer
  // The original contract: nothing is returned, and user_id is set.
  if (value === undefined || value === null) {
    return set.user_id === undefined ? denied('returned nothing and set no user_id') : accepted(set, found, options)
  }
  if (!isMembers(value)) return denied(`returned what is no object but ${typeof value}`)
  if (typeof value.status !== 'boolean') return challenged(value)
  if (!value.status) return isMembers(value.response_body) ? challenged(value.response_body) : denied('said no')
  const data = isMembers(value.response_data) ? value.response_data : {}
  return accepted({ ...set, ...data }, found, options)
}

function challenged(challenge: Members): Outcome {
  const size = JSON.stringify(challenge).length
  return size > LONGEST_CHALLENGE
    ? denied(`asked for a next step of ${size} characters`)
    : { status: 'challenged', challenge }
}

function accepted(data: Members, found: Identity | undefined, options: VerdictOptions): Outcome {
  const user = userOf(data, found, options)
  if (typeof user === 'string') return denied(user)
  const expiresAt = data.expires_at === undefined || data.expires_at === null ? undefined : timeOf(data.expires_at)
  if (Number.isNaN(expiresAt)) return denied('set an expires_at that is no time')
  const attributes = ATTRIBUTES.flatMap((name) => (isText(data[name]) ? [[name, data[name]] as const] : []))
  return {
    status: 'accepted',
    user,
    expiresAt,
    ...(attributes.length > 0 && { attributes: Object.fromEntries(attributes) }),
  }
}

/** Returns a sentence that says why where there is none. */
function userOf(data: Members, found: Identity | undefined, { users, ephemeralUsers }: VerdictOptions): User | string {
  const { user_id: id, user_name: name = id, groups = [] } = data
  if (!isText(id)) return 'set a user_id that is no text'
  const known = found?.user?.id === id ? found.user : users.byId(id)
  if (known) return known
  if (!ephemeralUsers) return `found ${JSON.stringify(id.slice(0, 64))}, whom the configuration does not know`
  if (!isText(name) || users.byName(name)) return 'set a user_name that is no text, or that of another user'
  if ([id, name].some((each) => users.isDisabled(each)))
    return `found ${JSON.stringify(name.slice(0, 64))}, who is not enabled`
  if (
    !Array.isArray(groups) ||
    groups.length > 1000 ||
    !groups.every((group) => isText(group) && !group.includes(','))
  ) {
    return 'set groups that are no list of names'
  }
  return Object.freeze({ id, name, groups: Object.freeze([...groups]), customId: undefined })
}

/** Printable, since it goes into headers and logs. */
function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length > 0 && value.length <= 1024 && !/\p{Cc}/u.test(value)
}

function timeOf(value: unknown): number {
  return typeof value === 'number' ? value : Date.parse(String(value))
}

function isMembers(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function denied(reason: string): Outcome {
  return { status: 'denied', reason: `the plugin ${reason}` }
}
