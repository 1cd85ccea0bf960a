import type { Problem } from '../errors.ts'
import type { Located } from './field.ts'
import { didYouMean } from './nearest.ts'
import { pathTo } from './place.ts'

interface Named extends Located {
  readonly id?: string | undefined
  readonly name?: string | undefined
}

/** The entities of one kind by name and id, which Kong's references may use alike. */
export class Registry<T> {
  readonly #kind: string
  readonly #report: (problem: Problem) => void
  readonly #known = new Map<string, T | undefined>()
  readonly #values: T[] = []

  /** `kind` is the name of the list in the file, such as `services`. */
  constructor(kind: string, report: (problem: Problem) => void) {
    this.#kind = kind
    this.#report = report
  }

  /** `value` is undefined for an entity that cannot or shall not be used; references to it are no mistake. */
  add(entity: Named, value: T | undefined): void {
    if (value !== undefined) this.#values.push(value)
    for (const key of ['id', 'name'] as const) {
      const label = entity[key]
      if (label === undefined) continue
      if (this.#known.has(label) && !(key === 'name' && entity.id === label)) {
        const message = `uniqueness violation: '${this.#kind}' entity with ${key} set to '${label}' already declared; choose another ${key}`
        this.#report({ path: pathTo(entity.at, key), message })
      } else this.#known.set(label, value)
    }
  }

  /** The entity that a setting refers to; reports it if there is none. */
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
