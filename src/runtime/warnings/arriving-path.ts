import type { RouteConfig } from '../../config/index.ts'
import { joinPath } from '../../routing/path-join.ts'

/** What a path comes to the API as that begins with `prefix`, one of the paths of the route. */
export function arrivesAs({ service, strip_path: strips }: RouteConfig, prefix: string, path: string): string {
  return joinPath(service.path ?? '/', path, strips ? prefix.length : undefined)
}
