/** Resolves the Identity API's references to ids, and reports every name that means nothing. */

import { derivedId } from '../derived-id.ts'
import { didYouMean } from '../nearest.ts'
import type { Written } from '../schema/config.ts'
import type { ConsumerConfig, WrittenConsumer } from '../schema/consumers.ts'
import type { Located } from '../schema/field.ts'
import type {
  DomainConfig,
  IdentityApiConfig,
  ProjectConfig,
  RoleAssignmentConfig,
  WrittenAssignment,
  WrittenProject,
} from '../schema/identity-api.ts'
import { located, type ResolveContext } from './context.ts'

export function resolveIdentityApi(
  { identity_api: written, consumers: everybody }: Written,
  consumers: readonly ConsumerConfig[],
  methods: readonly string[],
  context: ResolveContext,
): IdentityApiConfig {
  const isDisabledUser = (reference = '') =>
    located<WrittenConsumer>(everybody).some(
      ({ enabled, id, username, custom_id }) => !enabled && [id, username ?? custom_id].includes(reference),
    )
  const { public_url, region, trusted_issuers, catalog } = written
  const domains = written.domains.flatMap((domain) => {
    const { id, name } = domain
    return context.broken.has(domain) ? [] : { id: id ?? derivedId('domain', name), name }
  })
  if (written.domains.length === 0)
    context.report({ path: 'identity_api.domains', message: 'is empty; write one, or remove the setting' })
  const lookup = new Lookup(domains, context)
  const projects = located<WrittenProject>(written.projects).flatMap((project) => lookup.project(project))
  for (const consumer of consumers) lookup.checkConsumer(consumer, methods)
  const role_assignments = located<WrittenAssignment>(written.role_assignments).flatMap((assignment) =>
    context.broken.has(assignment) || isDisabledUser(assignment.user) ? [] : lookup.assignment(assignment, consumers),
  )
  return { public_url, region, trusted_issuers, catalog, domains, projects, role_assignments }
}

class Lookup {
  readonly #domains: readonly DomainConfig[]
  readonly #context: ResolveContext
  readonly #projects: ProjectConfig[] = []
  /** Disabled: nobody can use them, but references to them are no mistake. */
  readonly #disabled = new Set<string>()

  constructor(domains: readonly DomainConfig[], context: ResolveContext) {
    this.#domains = domains
    this.#context = context
  }

  project({ at, id, name, domain, description = '', enabled }: WrittenProject): ProjectConfig[] {
    if (name === undefined) return []
    const owner = domain === undefined ? this.#domains[0] : this.#find(this.#domains, domain, `${at}.domain`, 'domain')
    if (!owner) return []
    const project = { id: id ?? derivedId('project', owner.id, name), name, description, domain: owner.id }
    const taken = (other: ProjectConfig) =>
      other.id === project.id || (other.name === name && other.domain === owner.id)
    if (this.#projects.some(taken))
      this.#context.report({ path: `${at}.name`, message: `is declared already in the domain ${owner.name}` })
    this.#projects.push(project)
    if (!enabled) this.#disabled.add(project.id)
    return enabled ? [project] : []
  }

  checkConsumer(
    { at, domain, default_project, multi_factor_auth_rules, application_credentials }: ConsumerConfig,
    methods: readonly string[],
  ): void {
    // Without one of its methods a rule would ask too little, and without all of them for nothing.
    for (const [index, rule] of multi_factor_auth_rules.entries()) {
      const path = `${at}.multi_factor_auth_rules[${index}]`
      for (const name of rule.filter((each) => !methods.includes(each))) {
        const message = `auth.methods has no "${name}"${didYouMean(name, methods)}; known: ${methods.join(', ')}`
        this.#context.report({ path, message })
      }
    }
    if (domain !== undefined) this.#find(this.#domains, domain, `${at}.domain`, 'domain')
    for (const { at: place, project } of application_credentials)
      this.#reference(this.#projects, project, `${place}.project`, 'project')
    if (default_project !== undefined) this.#find(this.#projects, default_project, `${at}.default_project`, 'project')
  }

  assignment(written: WrittenAssignment, consumers: readonly ConsumerConfig[]): RoleAssignmentConfig[] {
    const { at, role, group, system } = written
    if (!this.#hasOne(written, ['user', 'group']) || !this.#hasOne(written, ['project', 'domain', 'system'])) return []
    const user = this.#reference(consumers, written.user, `${at}.user`, 'consumer')
    const project = this.#reference(this.#projects, written.project, `${at}.project`, 'project')
    const domain = this.#reference(this.#domains, written.domain, `${at}.domain`, 'domain')
    const isWhole = (user ?? group) !== undefined && (project ?? domain ?? system) !== undefined
    const isUsed = project === undefined || !this.#disabled.has(project)
    return isWhole && isUsed && role !== undefined ? [{ role, user, group, project, domain, system }] : []
  }

  #hasOne<T extends Located>(written: T, names: readonly (keyof T & string)[]): boolean {
    if (names.filter((name) => written[name] !== undefined).length === 1) return true
    this.#context.report({ path: written.at, message: `must set exactly one of '${names.join("', '")}'` })
    return false
  }

  #reference(known: readonly DomainConfig[], name: string | undefined, path: string, kind: string) {
    return name === undefined ? undefined : this.#find(known, name, path, kind)?.id
  }

  /** By id, or by name where that means only one. */
  #find<T extends DomainConfig>(known: readonly T[], reference: string, path: string, kind: string): T | undefined {
    const found = known.filter(({ id, name }) => id === reference || name === reference)
    if (found.length > 1)
      this.#context.report({ path, message: `means more than one ${kind} named "${reference}"; write its id` })
    if (found.length === 0) {
      const names = known.map(({ name }) => name)
      const all = names.length === 0 ? 'none is declared' : `known: ${names.slice(0, 20).join(', ')}`
      this.#context.report({
        path,
        message: `no ${kind} is named "${reference}"${didYouMean(reference, names)}; ${all}`,
      })
    }
    return found[0]
  }
}
