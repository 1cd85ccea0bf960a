/** Domains, projects, roles, and who has which role where. Built once per configuration. */
import { hash } from 'node:crypto'
import type { User, Users } from '../types.ts'

export interface Domain {
  readonly id: string
  readonly name: string
}

export interface Project {
  readonly id: string
  readonly name: string
  readonly description: string
  readonly domain: Domain
}

export interface Role {
  readonly id: string
  readonly name: string
}

/** What a token gives access to. */
export type Scope =
  | { readonly kind: 'unscoped' }
  | { readonly kind: 'project'; readonly project: Project }
  | { readonly kind: 'domain'; readonly domain: Domain }
  | { readonly kind: 'system' }

export const UNSCOPED: Scope = Object.freeze({ kind: 'unscoped' })

/** What Keystone knows of a user besides who it is. */
export interface Account {
  readonly domain: Domain
  readonly defaultProject: Project | undefined
  /** Combinations of methods, one of which must be complete; none where any method will do. */
  readonly multiFactorAuthRules: readonly (readonly string[])[]
}

/** A credential of a program. */
export interface ApplicationCredential {
  readonly id: string
  readonly name: string
  /** The project of its tokens; undefined: its user's default project. */
  readonly project: Project | undefined
}

const NONE: readonly never[] = Object.freeze([])

export interface Assignment {
  readonly role: Role
  /** A user's id, or the name of a group. */
  readonly user?: string | undefined
  readonly group?: string | undefined
  readonly scope: Scope
}

export interface DirectoryOptions {
  readonly users: Users
  /** The first is the domain of users without one, such as those that a plugin named. */
  readonly domains: readonly [Domain, ...Domain[]]
  readonly projects: readonly Project[]
  readonly assignments: readonly Assignment[]
  /** By the user's id. */
  readonly accounts: ReadonlyMap<string, Account>
  /** By their ids. */
  readonly applicationCredentials: ReadonlyMap<string, ApplicationCredential>
  /** The proofs of all secrets that this user has now. */
  proofsOf(user: string): readonly string[]
}

/** How clients refer to something: by id, or by name and domain. */
export interface Named {
  readonly id?: string | undefined
  readonly name?: string | undefined
}

export class Directory {
  readonly #options: DirectoryOptions

  constructor(options: DirectoryOptions) {
    this.#options = options
  }

  /** As in Keystone, a name counts before an id. */
  domain({ id, name }: Named): Domain | undefined {
    return this.#options.domains.find((domain) => (name ? domain.name === name : domain.id === id))
  }

  project({ id, name }: Named, domain?: Domain): Project | undefined {
    return this.#options.projects.find((project) =>
      name ? project.name === name && project.domain === domain : project.id === id,
    )
  }

  user({ id, name }: Named, domain?: Domain): User | undefined {
    const { users } = this.#options
    if (!name) return id === undefined ? undefined : users.byId(id)
    const found = users.byName(name)
    return found && this.account(found).domain === domain ? found : undefined
  }

  /** In whatever domain: no two of them have users of one name. */
  userNamed(name: string | undefined): User | undefined {
    return name === undefined ? undefined : this.#options.users.byName(name)
  }

  account(user: User): Account {
    const [domain] = this.#options.domains
    return this.#options.accounts.get(user.id) ?? { domain, defaultProject: undefined, multiFactorAuthRules: NONE }
  }

  /** What Keystone's `multi_factor_auth_rules` demand of the user. */
  multiFactorRulesOf({ id }: User): Account['multiFactorAuthRules'] {
    return this.#options.accounts.get(id)?.multiFactorAuthRules ?? NONE
  }

  applicationCredential(id: string): ApplicationCredential | undefined {
    return this.#options.applicationCredentials.get(id)
  }

  /** Digests of the passwords and secrets that a user has now, as tokens hold them. */
  proofDigestsOf({ id }: User): readonly string[] {
    return this.#options.proofsOf(id).map(digestOf)
  }

  /** Each role once, in the order in which they were assigned. */
  rolesOf(user: User, scope: Scope): readonly Role[] {
    const found = this.#assignmentsOf(user).filter((assignment) => sameScope(assignment.scope, scope))
    return [...new Map(found.map(({ role }) => [role.id, role])).values()]
  }

  projectsOf(user: User): readonly Project[] {
    return unique(this.#assignmentsOf(user).flatMap(({ scope }) => (scope.kind === 'project' ? [scope.project] : [])))
  }

  domainsOf(user: User): readonly Domain[] {
    return unique(this.#assignmentsOf(user).flatMap(({ scope }) => (scope.kind === 'domain' ? [scope.domain] : [])))
  }

  #assignmentsOf(user: User): readonly Assignment[] {
    // A user may have a thousand groups, and there are thousands of assignments.
    const groups = new Set(user.groups)
    return this.#options.assignments.filter(
      ({ user: id, group }) => id === user.id || (group !== undefined && groups.has(group)),
    )
  }
}

export function digestOf(proof: string): string {
  return hash('sha256', proof, 'base64url')
}

function sameScope(one: Scope, other: Scope): boolean {
  switch (one.kind) {
    case 'unscoped':
      return false
    case 'system':
      return other.kind === 'system'
    case 'project':
      return other.kind === 'project' && other.project === one.project
    case 'domain':
      return other.kind === 'domain' && other.domain === one.domain
  }
}

function unique<T>(values: readonly T[]): readonly T[] {
  return [...new Set(values)]
}
