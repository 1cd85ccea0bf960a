import type { Problem } from '../../errors.ts'
import { didYouMean } from '../nearest.ts'
import { pathTo } from '../place.ts'
import type { Located } from '../schema/field.ts'

type Named = Located & { readonly [key in 'id' | NameKey]?: string | undefined }
/** The setting that holds the name: Kong's consumers have a username instead. */
type NameKey = 'name' | 'username' | 'custom_id' | 'issuer'

/** The entities of one kind, found by name or by id: Kong's references may use either. */
export class EntityIndex<T> {
  readonly #kind: string
  readonly #report: (problem: Problem) => void
  readonly #known = new Map<string, T | undefined>()
  readonly #values: T[] = []
  readonly #nameKey: NameKey

  /** `kind` is the name of the list in the file, such as `services`. */
  constructor(kind: string, report: (problem: Problem) => void, nameKey: NameKey = 'name') {
    this.#kind = kind
    this.#report = report
    this.#nameKey = nameKey
  }

  /** @param value undefined for an entity that is disabled or cannot be used; a reference to it is not reported */
  add(entity: Named, value: T | undefined): void {
    if (value !== undefined) this.#values.push(value)
    for (const key of ['id', this.#nameKey] as const) {
      const label = entity[key]
      if (label === undefined) continue
      if (this.#known.has(label) && !(key !== 'id' && entity.id === label)) {
        const message = `uniqueness violation: '${this.#kind}' entity with ${key} set to '${label}' already declared; choose another ${key}`
        this.#report({ path: pathTo(entity.at, key), message })
      } else this.#known.set(label, value)
    }
  }

  /** The entity that the setting at `path` refers to. Reports a reference to nothing. */
  find(reference: string, path: string, setting: string): T | undefined {
    if (!this.#known.has(reference)) {
      const meant = didYouMean(reference, this.#known.keys())
      const known =
        this.#known.size === 0 ? 'none is declared' : `known: ${[...this.#known.keys()].slice(0, 20).join(', ')}`
      const message = `invalid reference '${setting}: ${reference}' (no such entry in '${this.#kind}'; ${known})${meant}`
      this.#report({ path, message })
    }
    return this.#known.get(reference)
  }

  values(): readonly T[] {
    return this.#values
  }
}
