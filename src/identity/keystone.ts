/** The headers of keystonemiddleware's auth_token, which OpenStack's services read, and others that are written like them. */
import type { Identity } from '../types.ts'
import { printable } from './fields.ts'
import { fold } from './fold.ts'
import { type HeaderValue, valueOfField } from './header-value.ts'

/** What a token of the Identity API says besides its user, by Keystone's name for it. */
const attribute =
  (name: string): HeaderValue =>
  ({ identity }) =>
    printable(identity?.attributes?.[name] ?? '') || undefined

/** Only where the user is known: a backend takes any of these headers as proof of one. */
const whereKnown =
  (value: (identity: Identity) => string | undefined): HeaderValue =>
  ({ identity }) =>
    identity?.user && value(identity)

const userName = valueOfField('user')
const projectId = attribute('project_id')
const projectName = attribute('project_name')
const roles = attribute('roles')

export const keystone: Readonly<Record<string, HeaderValue>> = {
  // As with delay_auth_decision: where a route lets strangers pass, the backend decides.
  'X-Identity-Status': ({ identity }) => (identity?.user ? 'Confirmed' : 'Invalid'),
  'X-User-Id': valueOfField('user_id'),
  'X-User-Name': userName,
  'X-User-Domain-Id': attribute('user_domain_id'),
  'X-User-Domain-Name': attribute('user_domain_name'),
  'X-Project-Id': projectId,
  'X-Project-Name': projectName,
  'X-Project-Domain-Id': attribute('project_domain_id'),
  'X-Project-Domain-Name': attribute('project_domain_name'),
  'X-Domain-Id': attribute('domain_id'),
  'X-Domain-Name': attribute('domain_name'),
  'X-Roles': roles,
  // auth_token says True where tokens do not say otherwise; with a certificate alone there is no project at all.
  'X-Is-Admin-Project': whereKnown(({ attributes }) => (attributes?.roles === undefined ? undefined : 'True')),
  'OpenStack-System-Scope': attribute('system_scope'),
  'X-User': userName,
  'X-Role': roles,
  'X-Tenant-Id': projectId,
  'X-Tenant-Name': projectName,
  'X-Tenant': projectName,
}

/** What auth_token writes about a second token. We never write these, and never let a client's own through. */
export const KEYSTONE_ONLY: readonly string[] = [
  ...['X-Service-Identity-Status', 'X-Service-Catalog', 'X-Service-Roles'],
  ...['User-Id', 'User-Name', 'User-Domain-Id', 'User-Domain-Name', 'Domain-Id', 'Domain-Name'].map(ofService),
  ...['Project-Id', 'Project-Name', 'Project-Domain-Id', 'Project-Domain-Name'].map(ofService),
].map(fold)

function ofService(name: string): string {
  return `X-Service-${name}`
}
