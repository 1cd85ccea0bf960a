/** The same small cloud twice, in Debian's Keystone and in ours, and requests that mean the same to both. */
import { decodeBase32, totp } from '../../src/auth/methods/totp.ts'
import { type Answer, type Ask, json } from './client.ts'
import { TOTP_SECRET } from './identity.ts'
import type { Keystone } from './keystone.ts'

interface Person {
  readonly name: string
  readonly roles: readonly { readonly role: string; readonly on: 'demo' | 'default' | 'system' }[]
  readonly default_project?: 'demo' | 'closed'
  readonly totp?: true
  readonly rules?: readonly (readonly string[])[]
}

const MEMBER = [{ role: 'member', on: 'demo' }] as const
const BOTH = [['password', 'totp']] as const

/** A code counts only once with us, so that each test with codes has a user of its own. */
const PEOPLE: readonly Person[] = [
  { name: 'ada', roles: MEMBER },
  { name: 'bob', roles: MEMBER, default_project: 'demo' },
  { name: 'dora', roles: MEMBER, default_project: 'closed' },
  { name: 'nina', roles: [] },
  { name: 'totp1', roles: MEMBER, totp: true },
  { name: 'totp2', roles: MEMBER, totp: true },
  { name: 'multi1', roles: MEMBER, totp: true, rules: BOTH },
  { name: 'multi2', roles: MEMBER, totp: true, rules: BOTH },
  { name: 'multi3', roles: MEMBER, totp: true, rules: BOTH },
  {
    name: 'root',
    roles: [
      { role: 'admin', on: 'demo' },
      { role: 'admin', on: 'default' },
      { role: 'admin', on: 'system' },
    ],
  },
]

export const METHODS = ['password', 'token', 'totp', 'application_credential']

/** One of the two, as a client sees it. */
export interface Cloud {
  ask(path: string, options: Ask): Promise<Answer>
  readonly users: ReadonlyMap<string, string>
  readonly projects: ReadonlyMap<string, string>
  /** Of ada, in the project demo. */
  readonly applicationCredential: string
}

export const APPLICATION_SECRET = 'secret of the robot'

export function passwordFor(name: string): string {
  return `password of ${name}`
}

/** The code of an authenticator app, now. */
export function code(): string {
  return totp(decodeBase32(TOTP_SECRET) as Buffer, Math.floor(Date.now() / 30_000))
}

/** Our configuration. */
export function ourCloud(): object {
  const assignments = PEOPLE.flatMap(({ name: user, roles }) =>
    roles.map(({ role, on }) => {
      const scope = on === 'system' ? { system: 'all' } : on === 'default' ? { domain: on } : { project: on }
      return { role, user, ...scope }
    }),
  )
  return {
    auth: { methods: METHODS },
    consumers: PEOPLE.map(({ name, default_project, totp: hasCodes, rules }) => ({
      ...{ id: `u-${name}`, username: name, default_project, multi_factor_auth_rules: rules },
      basicauth_credentials: [{ username: name, password: passwordFor(name) }],
      totp_credentials: hasCodes ? [{ secret: TOTP_SECRET }] : [],
      application_credentials:
        name === 'ada' ? [{ id: 'app-1', name: 'robot', secret: APPLICATION_SECRET, project: 'demo' }] : [],
    })),
    identity_api: {
      projects: [
        { id: 'p-demo', name: 'demo' },
        { id: 'p-closed', name: 'closed', enabled: false },
      ],
      role_assignments: assignments,
    },
  }
}

export function ours(ask: Cloud['ask']): Cloud {
  const users = new Map(PEOPLE.map(({ name }) => [name, `u-${name}`]))
  const projects = new Map(['demo', 'closed'].map((name) => [name, `p-${name}`]))
  return { ask, users, projects, applicationCredential: 'app-1' }
}

/** Makes the users and projects in a Keystone that has only its administrator. */
export async function theirs(keystone: Keystone): Promise<Cloud> {
  const admin = await tokenFor(keystone, 'admin', keystone.adminPassword, {
    project: { name: 'admin', domain: DEFAULT },
  })
  const send = async (method: string, path: string, body?: object, token = admin) => {
    const headers = { 'x-auth-token': token, 'content-type': 'application/json' }
    const options = { method, headers, ...(body && { body: JSON.stringify(body) }) }
    const answer = await keystone.ask(`/v3${path}`, options)
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${answer.text}`)
    return answer.text === '' ? {} : json<Record<string, { id: string }>>(answer)
  }
  const made = async (kind: string, members: object) =>
    (await send('POST', `/${kind}s`, { [kind]: { domain_id: 'default', ...members } }))[kind]?.id ?? ''
  const projects = new Map<string, string>()
  for (const name of ['demo', 'closed']) projects.set(name, await made('project', { name, enabled: name === 'demo' }))
  const { roles } = json<{ roles: { id: string; name: string }[] }>(
    await keystone.ask('/v3/roles', { headers: { 'x-auth-token': admin } }),
  )
  const users = new Map<string, string>()
  for (const { name, roles: own, default_project: chosen, totp: hasCodes, rules } of PEOPLE) {
    const options = rules ? { multi_factor_auth_rules: rules } : {}
    const id = await made('user', {
      ...{ name, password: passwordFor(name), options },
      ...(chosen && { default_project_id: projects.get(chosen) }),
    })
    users.set(name, id)
    const credential = { type: 'totp', blob: TOTP_SECRET, user_id: id, project_id: projects.get('demo') }
    if (hasCodes) await send('POST', '/credentials', { credential })
    for (const { role, on } of own) {
      const place = on === 'system' ? 'system' : on === 'default' ? 'domains/default' : `projects/${projects.get(on)}`
      const roleId = roles.find((each) => each.name === role)?.id
      await send('PUT', `/${place}/users/${id}/roles/${roleId}`)
    }
  }
  const ada = await tokenFor(keystone, 'ada', passwordFor('ada'), { project: { id: projects.get('demo') } })
  const robot = { application_credential: { name: 'robot', secret: APPLICATION_SECRET } }
  const credential = await send('POST', `/users/${users.get('ada')}/application_credentials`, robot, ada)
  const applicationCredential = credential.application_credential?.id ?? ''
  return { ask: (path, options) => keystone.ask(path, options), users, projects, applicationCredential }
}

const DEFAULT = { id: 'default' }

async function tokenFor(keystone: Keystone, name: string, password: string, scope: object): Promise<string> {
  const identity = { methods: ['password'], password: { user: { name, domain: DEFAULT, password } } }
  const headers = { 'content-type': 'application/json' }
  const body = JSON.stringify({ auth: { identity, scope } })
  const answer = await keystone.ask('/v3/auth/tokens', { method: 'POST', headers, body })
  const token = answer.headers['x-subject-token']
  if (typeof token !== 'string') throw new Error(`Keystone lets ${name} not in: ${answer.status} ${answer.text}`)
  return token
}

/** The shape of JSON: which members, of which types. Of lists, that of the first item, since lists differ in length. */
export function shapeOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.length === 0 ? [] : [shapeOf(value[0])]
  if (typeof value !== 'object' || value === null) return value === null ? 'null' : typeof value
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => a.localeCompare(b))
      .map(([key, each]) => [key, shapeOf(each)]),
  )
}
