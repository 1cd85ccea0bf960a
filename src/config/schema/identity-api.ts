/** Keystone's words for what users may use: domains, projects, roles, and the catalog of services. For `builtin: identity`. */
import * as z from 'zod'
import { block, field, type Kind, type Located, list, Unfit } from './field.ts'
import { choice, onOff, text } from './scalars.ts'

const httpUrl: Kind<string> = {
  expected: 'a URL such as https://cloud.example.com/identity, without query',
  json: { type: 'string', pattern: '^https?://|\\$\\{.+\\}' },
  parse(value) {
    if (typeof value !== 'string' || !/^https?:\/\/[^/?#@\s]+[^?#\s]*$/.test(value)) throw new Unfit('')
    return value.replace(/\/+$/, '')
  },
}

const domain = block('A domain: users and projects have names of their own in each.', {
  id: field(text, { otherwise: 'made of the name', about: 'Its id.' }),
  name: field(text, { required: true, about: 'Its name.' }),
})

const project = block('A project, which tokens can be scoped to.', {
  id: field(text, { otherwise: 'made of the name and the domain', about: 'Its id.' }),
  name: field(text, { required: true, about: 'Its name, unique in its domain.' }),
  domain: field(text, { otherwise: 'the first domain', about: 'The id or name of its domain.' }),
  description: field(text, { about: 'What it is for.' }),
  enabled: field(onOff, { default: true, about: 'false: nobody can use it.' }),
})

const roleAssignment = block('That a user or a group has a role, and where.', {
  role: field(text, { required: true, about: 'The name of the role, such as member or admin.' }),
  user: field(text, { about: 'The name or id of the consumer; this or group.' }),
  group: field(text, { about: 'The name of the group; this or user.' }),
  project: field(text, { about: 'The name or id of the project; this, domain or system.' }),
  domain: field(text, { about: 'The name or id of the domain; this, project or system.' }),
  system: field(choice('all'), { about: 'all: the role holds for the whole system.' }),
})

const endpoint = block('Where a service is.', {
  interface: field(choice('public', 'internal', 'admin'), { default: 'public', about: 'Who shall use it.' }),
  region: field(text, { otherwise: 'identity_api.region', about: 'Its region.' }),
  url: field(text, { required: true, about: 'Its URL; $(project_id)s and $(user_id)s in it are replaced.' }),
})

const service = block('A service of the catalog. The Identity API itself is in it already.', {
  type: field(text, { required: true, about: 'What it is, such as compute or object-store.' }),
  name: field(text, { required: true, about: 'Its name, such as nova.' }),
  endpoints: z.array(endpoint).prefault([]).describe('Where it is.'),
})

export const identityApi = block(
  "Keystone's Identity API v3, for services with builtin: identity: what its users may use.",
  {
    public_url: field(httpUrl, {
      env: 'SALLYPORT_IDENTITY_API_PUBLIC_URL',
      otherwise: 'the address that the client asked',
      about: 'Where clients find the API, without /v3.',
    }),
    region: field(text, { default: 'RegionOne', about: 'The region of endpoints that name none.' }),
    trusted_issuers: list(text, {
      default: [],
      about:
        'The issuers whose certificates need no token, named as RFC 2253 does (nginx: $ssl_client_i_dn): Keystone calls it X.509 tokenless authorization.',
    }),
    domains: z
      .array(domain)
      .prefault([{ id: 'default', name: 'Default' }])
      .describe('The domains. The first is that of whoever and whatever names none.'),
    projects: z.array(project).prefault([]).describe('The projects.'),
    role_assignments: z.array(roleAssignment).prefault([]).describe('Who has which role where.'),
    catalog: z.array(service).prefault([]).describe('The services that tokens tell of.'),
  },
)

export type WrittenProject = z.output<typeof project> & Located
export type WrittenAssignment = z.output<typeof roleAssignment> & Located
type CatalogServiceConfig = z.output<typeof service>

export interface DomainConfig {
  readonly id: string
  readonly name: string
}

export interface ProjectConfig {
  readonly id: string
  readonly name: string
  readonly description: string
  /** The id. */
  readonly domain: string
}

/** Ids, and the name of a group. Exactly one of project, domain and system is there, and one of user and group. */
export interface RoleAssignmentConfig {
  readonly role: string
  readonly user: string | undefined
  readonly group: string | undefined
  readonly project: string | undefined
  readonly domain: string | undefined
  readonly system: 'all' | undefined
}

export interface IdentityApiConfig {
  readonly public_url: string | undefined
  readonly region: string
  readonly trusted_issuers: readonly string[]
  /** Not empty. */
  readonly domains: readonly DomainConfig[]
  readonly projects: readonly ProjectConfig[]
  readonly role_assignments: readonly RoleAssignmentConfig[]
  readonly catalog: readonly CatalogServiceConfig[]
}
