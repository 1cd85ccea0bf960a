import type { Problem } from '../errors.ts'
import type { Located } from './field.ts'
import type { PemReader } from './pem.ts'

/** What the check of single values left behind. */
export interface ResolveContext {
  report(problem: Problem): void
  /** Objects of which a setting is wrong. */
  readonly broken: WeakSet<object>
  readonly pems: PemReader
  /** The settings that the command line gave. */
  readonly ofCommandLine: ReadonlySet<string>
}

/** Runs an entity's own checks, unless one of its values is wrong. True if it can be used. */
export function passes<T extends object>(entity: T, check: (entity: T) => Problem[], context: ResolveContext): boolean {
  if (context.broken.has(entity)) return false
  const problems = check(entity)
  for (const problem of problems) context.report(problem)
  return problems.length === 0
}

/** A list's items with the `at` that the check of values has put into them. */
export function located<T extends Located>(items: readonly object[]): readonly T[] {
  return items as readonly T[]
}

/** What an entity is called: by its name, its id, or else its place. */
export function nameOf(entity: { at: string; id?: string | undefined; name?: string | undefined }): string {
  return entity.name ?? entity.id ?? entity.at
}
