/** What a request asks of a registry, from its method and path alone. The paths are distribution's; a name may hold slashes, so they are matched from their end. */
import { LONGEST_REPOSITORY, type Resource } from './scope.ts'

export interface RegistryRequest {
  /** What the caller must be allowed to do; empty for `/v2/`, which only asks who it is. */
  readonly access: readonly Resource[]
  /** What the registry expects to find in the token. */
  readonly token: readonly Resource[]
  /** The tag that the request names; empty where it names none. */
  readonly tag: string
  /** Set where the answer is a list, which can be reduced to what the caller may see. */
  readonly list?: 'catalog' | 'tags'
  /** Set for an upload that asks for a layer of another repository: what it is for a caller who may not pull there. */
  readonly unmounted?: RegistryRequest
  /** Whether the query is left out: it asks for a layer that is not mounted. */
  readonly withoutQuery?: true
}

/** distribution's reference grammar: components of lower-case letters and digits, with single separators between. */
const NAME = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/
export const TAG = /^\w[\w.-]{0,127}$/
const DIGEST = /^[A-Za-z][A-Za-z0-9]*(?:[+._-][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}$/
const UPLOAD = /^[\w.=-]+$/

const ANYBODY: RegistryRequest = { access: [], token: [], tag: '' }
const CATALOG: RegistryRequest = {
  access: [{ type: 'registry', name: 'catalog', actions: ['*'] }],
  token: [{ type: 'registry', name: 'catalog', actions: ['*'] }],
  tag: '',
  list: 'catalog',
}

/**
 * Undefined for what is no request of the protocol: the gate cannot judge what it does not understand.
 * @param query without `?`
 */
export function readRequest(method: string, path: string, query: string): RegistryRequest | undefined {
  const reads = method === 'GET' || method === 'HEAD'
  if (path === '/v2/' || path === '/v2') return reads ? ANYBODY : undefined
  if (path === '/v2/_catalog') return reads ? CATALOG : undefined
  const parts = /^\/v2\/(.+)\/(tags|manifests|blobs|referrers|blobs\/uploads)\/([^/]*)$/.exec(path)
  const [, name = '', kind = '', last = ''] = parts ?? []
  if (name.length > LONGEST_REPOSITORY || !NAME.test(name)) return undefined
  switch (kind) {
    case 'tags':
      return reads && last === 'list' ? { ...about(name, ['pull']), list: 'tags' } : undefined
    case 'manifests':
      return manifest(method, name, last, query)
    case 'blobs':
      if (!DIGEST.test(last)) return undefined
      return reads ? about(name, ['pull']) : method === 'DELETE' ? about(name, ['delete']) : undefined
    case 'referrers':
      return reads && DIGEST.test(last) ? about(name, ['pull']) : undefined
    default:
      return upload(method, name, last, query)
  }
}

function about(name: string, actions: readonly string[], tag = '', token = actions): RegistryRequest {
  const resource = { type: 'repository', name, actions }
  return { access: [resource], token: token === actions ? [resource] : [{ ...resource, actions: token }], tag }
}

function manifest(method: string, name: string, reference: string, query: string): RegistryRequest | undefined {
  const isTag = TAG.test(reference)
  if (!isTag && !DIGEST.test(reference)) return undefined
  const tag = isTag ? reference : ''
  switch (method) {
    case 'GET':
    case 'HEAD':
      return about(name, ['pull'], tag)
    case 'PUT':
      // Registries may come to give further tags here: they would not have been judged.
      return query === '' ? about(name, ['pull', 'push'], tag) : undefined
    case 'DELETE':
      return about(name, ['delete'], tag)
    default:
      return undefined
  }
}

function upload(method: string, name: string, id: string, query: string): RegistryRequest | undefined {
  if (id === '') return method === 'POST' ? beginning(name, query) : undefined
  if (!UPLOAD.test(id)) return undefined
  switch (method) {
    case 'GET':
    case 'HEAD':
    case 'PATCH':
    case 'PUT':
      return about(name, ['pull', 'push'])
    case 'DELETE':
      // Registries ask for `delete` although nothing but an unfinished upload goes.
      return about(name, ['pull', 'push'], '', ['delete'])
    default:
      return undefined
  }
}

/**
 * An upload may ask for a layer of another repository, which must be one that the caller may pull from, and be named. Whoever gets no layer that way sends
 * it: the specification of the OCI demands that the upload begins then, and containerd gives up a push that is answered otherwise.
 */
function beginning(name: string, query: string): RegistryRequest | undefined {
  const own = about(name, ['pull', 'push'])
  if (query === '') return own
  // Two readings of a query would be one too many: what Go and we might split differently is refused.
  if (/;|%(?![0-9A-Fa-f]{2})/.test(query)) return undefined
  const parameters = new URLSearchParams(query)
  const [from, ...more] = parameters.getAll('from')
  const unmounted: RegistryRequest = { ...own, withoutQuery: true }
  if (from === undefined) return parameters.has('mount') ? unmounted : own
  if (more.length > 0 || from.length > LONGEST_REPOSITORY || !NAME.test(from)) return undefined
  const source = { type: 'repository', name: from, actions: ['pull'] }
  if (from === name) return own
  return { access: [...own.access, source], token: [...own.token, source], tag: '', unmounted }
}
