/** A small cloud for the tests of the Identity API: users, their passwords, projects and roles. */
import type { Ask } from './client.ts'
import type { Gateway } from './gateway.ts'

/** RFC 6238's own, in base32. */
export const TOTP_SECRET = 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ'

/** Settings at the top level of a configuration. Passwords are `password of NAME`. */
export const CLOUD = {
  consumers: [
    consumerOf('ada', {
      application_credentials: [{ id: 'app-1', name: 'robot', secret: 'secret of the robot', project: 'demo' }],
      totp_credentials: [{ secret: TOTP_SECRET }],
    }),
    consumerOf('bob', { groups: ['watchers'], default_project: 'demo' }),
    consumerOf('nova', {}),
    consumerOf('carol', {
      totp_credentials: [{ secret: TOTP_SECRET }],
      multi_factor_auth_rules: [['password', 'totp']],
    }),
    { ...consumerOf('root', {}), basicauth_credentials: [{ username: 'u-eve', password: 'password of root' }] },
    { id: 'u-eve', username: 'eve' },
  ],
  identity_api: {
    projects: [
      { id: 'p-demo', name: 'demo', description: 'For demonstrations' },
      { id: 'p-closed', name: 'closed', enabled: false },
    ],
    role_assignments: [
      { role: 'member', user: 'ada', project: 'demo' },
      { role: 'member', user: 'ada', project: 'closed' },
      { role: 'member', user: 'carol', project: 'demo' },
      { role: 'reader', group: 'watchers', project: 'demo' },
      { role: 'service', user: 'nova', project: 'demo' },
      { role: 'admin', user: 'root', domain: 'default' },
      { role: 'admin', user: 'root', system: 'all' },
      { role: 'admin', user: 'root', project: 'demo' },
    ],
    catalog: [{ type: 'compute', name: 'nova', endpoints: [{ url: 'https://nova.test/v2/$(project_id)s' }] }],
  },
}

function consumerOf(name: string, more: object): object {
  return {
    ...{ id: `u-${name}`, username: name },
    basicauth_credentials: [{ username: name, password: `password of ${name}` }],
    ...more,
  }
}

/** The service, reached on these paths. */
export function identityService(paths: readonly string[]): object {
  return { name: 'identity', builtin: 'identity', routes: [{ name: 'identity', paths }] }
}

/** The payload of the method `password`. */
export function passwordOf(name: string, password = `password of ${name}`): object {
  return { user: { name, domain: { id: 'default' }, password } }
}

/** The body of an answer with a token. */
export interface TokenAnswer {
  readonly token: {
    readonly methods: readonly string[]
    readonly user: { readonly id: string; readonly name: string }
    readonly audit_ids: readonly string[]
    readonly expires_at: string
    readonly issued_at: string
    readonly project?: { readonly id: string; readonly name: string }
    readonly roles?: readonly { readonly name: string }[]
  }
}

/** Logs in at the API under `/identity`. */
export async function issueToken(
  gateway: Gateway,
  name: string,
  scope: object | string = { project: { id: 'p-demo' } },
  options: Ask = {},
): Promise<string> {
  const answer = await gateway.get('/identity/v3/auth/tokens', {
    ...options,
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ auth: { identity: { methods: ['password'], password: passwordOf(name) }, scope } }),
  })
  const token = answer.headers['x-subject-token']
  if (answer.status !== 201 || typeof token !== 'string') throw new Error(`no token: ${answer.status} ${answer.text}`)
  return token
}
