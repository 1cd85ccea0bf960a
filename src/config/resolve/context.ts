import type { Problem } from '../../errors.ts'
import type { PemReader } from '../pem.ts'
import type { Located } from '../schema/field.ts'

/** What the check of single values passes on. */
export interface ResolveContext {
  report(problem: Problem): void
  /** Objects with a wrong setting. */
  readonly broken: WeakSet<object>
  readonly pems: PemReader
  /** The settings that the command line gave. */
  readonly ofCommandLine: ReadonlySet<string>
}

/** Runs an entity's own checks, unless one of its values is wrong. Returns whether the entity can be used. */
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

/** The name of an entity: its name, its id, or else its place. */
export function nameOf(entity: { at: string; id?: string | undefined; name?: string | undefined }): string {
  return entity.name ?? entity.id ?? entity.at
}
