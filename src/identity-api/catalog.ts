/** The services of a cloud and their addresses: clients read it to find everything else. */
import type { User } from '../types.ts'
import type { Scope } from './directory.ts'

export interface Endpoint {
  readonly id: string
  readonly interface: 'public' | 'internal' | 'admin'
  readonly region: string
  /** May hold `$(project_id)s` and `$(user_id)s`, as Keystone's. */
  readonly url: string
}

export interface CatalogEntry {
  readonly id: string
  readonly type: string
  readonly name: string
  readonly endpoints: readonly Endpoint[]
}

/** For one user and scope. An endpoint that needs a project is left out without one, as Keystone does. */
export function catalogFor(entries: readonly CatalogEntry[], user: User, scope: Scope): object[] {
  const values: Readonly<Record<string, string | undefined>> = {
    user_id: user.id,
    project_id: scope.kind === 'project' ? scope.project.id : undefined,
    tenant_id: scope.kind === 'project' ? scope.project.id : undefined,
  }
  return entries.map(({ endpoints, id, type, name }) => ({
    ...{ id, type, name },
    endpoints: endpoints.flatMap((endpoint) => {
      const url = substitute(endpoint.url, values)
      const { id, interface: face, region } = endpoint
      return url === undefined ? [] : [{ id, interface: face, region, region_id: region, url }]
    }),
  }))
}

function substitute(url: string, values: Readonly<Record<string, string | undefined>>): string | undefined {
  let whole = true
  const text = url.replace(/[$%]\((\w+)\)s/g, (_, name: string) => {
    const value = values[name]
    if (value === undefined) whole = false
    return value === undefined ? '' : encodeURIComponent(value)
  })
  return whole ? text : undefined
}
