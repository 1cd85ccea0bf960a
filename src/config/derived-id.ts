import { createHash } from 'node:crypto'

/** As long as Keystone's own ids, and the same in every gateway. */
export function derivedId(kind: string, ...names: string[]): string {
  return createHash('sha256')
    .update(JSON.stringify([kind, ...names]))
    .digest('hex')
    .slice(0, 32)
}
