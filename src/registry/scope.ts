/** What clients of a registry ask for, in distribution's grammar: `repository:team/app:pull,push`. */

export interface Resource {
  /** `repository`, `registry`, or whatever a client made up; without its class. */
  readonly type: string
  readonly name: string
  /** In the order asked, each once. */
  readonly actions: readonly string[]
}

/** distribution's NameTotalLengthMax. */
export const LONGEST_REPOSITORY = 255
/** A host and a port may stand in front. */
const LONGEST_NAME = LONGEST_REPOSITORY + '/'.length + 253 + ':65535'.length
const TYPE = /^([a-z0-9]+)(?:\([a-z0-9]+\))?$/
/** Actions are words of lower-case letters; the catalog's is `*`. */
const ACTIONS = /^(?:[a-z]{1,32}|\*)(?:,(?:[a-z]{1,32}|\*))*$/

/**
 * One scope. The name may hold a colon (a host with its port), so the type ends at the first colon and the name at the last.
 * The class of `repository(plugin)` is deprecated and dropped. Undefined for what is no scope.
 */
export function parseScope(text: string): Resource | undefined {
  const first = text.indexOf(':')
  const last = text.lastIndexOf(':')
  if (first < 0 || last === first) return undefined
  const type = TYPE.exec(text.slice(0, first))?.[1]
  const name = text.slice(first + 1, last)
  const actions = text.slice(last + 1)
  if (type === undefined || name === '' || name.length > LONGEST_NAME || !ACTIONS.test(actions)) return undefined
  return { type, name, actions: [...new Set(actions.split(','))] }
}

/**
 * All scopes of a request: the parameter may be repeated, and each may hold several, separated by spaces. Those of the same
 * resource become one. Null where there are more than `most`.
 */
export function parseScopes(parameters: readonly string[], most: number): Resource[] | null {
  const found = new Map<string, Omit<Resource, 'actions'> & { readonly actions: Set<string> }>()
  for (const parameter of parameters) {
    for (const text of parameter.split(' ')) {
      const resource = parseScope(text)
      if (!resource) continue
      const key = `${resource.type}:${resource.name}`
      const known = found.get(key)
      if (!known && found.size >= most) return null
      if (!known) found.set(key, { ...resource, actions: new Set(resource.actions) })
      else for (const action of resource.actions) known.actions.add(action)
    }
  }
  return [...found.values()].map((resource) => ({ ...resource, actions: [...resource.actions] }))
}

export function scopeText({ type, name, actions }: Resource): string {
  return `${type}:${name}:${actions.join(',')}`
}
