/** The path for the service: Kong's path handling v0 (docs.konghq.com, Route object, `path_handling`). */

// After a raw prefix is stripped, the rest may begin in the middle of a segment: `/files../secret` under the prefix `/files` leaves `../secret`,
// which would climb out of the service's path. Kong drops that segment, and so do we, also with a parameter (`..;x`).
const LEADING_DOT_SEGMENT = /^\.\.?(?:;[^/]*)?(?:\/|$)/

/**
 * @param base the service's path, at least `/`
 * @param path the request's normal path
 * @param matched how many of its characters the route's path matched, where the route strips them; undefined where it does not
 */
export function joinPath(base: string, path: string, matched: number | undefined): string {
  const bare = base.endsWith('/') ? base.slice(0, -1) : base
  if (path === '/') return base
  if (matched === undefined) return bare + path
  const rest = path.slice(matched).replace(LEADING_DOT_SEGMENT, '')
  if (rest !== '') return rest.startsWith('/') ? bare + rest : `${bare}/${rest}`
  return bare === '' || path.endsWith('/') ? `${bare}/` : bare
}
