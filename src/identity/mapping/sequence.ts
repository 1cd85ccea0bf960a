import type { CertificateMapper, Mapping, Trial } from '../../types.ts'

type Asked = Parameters<CertificateMapper['map']>

/**
 * Docker's `certmap=a,b`: mappers in order; the first that knows the certificate decides. Where none does, the headers of all of them go to the
 * client. One that cannot decide ends the search, unlike in Docker: it might have named another user than a later one. So does one that names a
 * disabled user.
 */
export class MapperSequence implements CertificateMapper {
  readonly name: string
  readonly #mappers: readonly CertificateMapper[]

  constructor(mappers: readonly CertificateMapper[]) {
    this.name = mappers.map(({ name }) => name).join(',')
    this.#mappers = mappers
  }

  map(...asked: Asked): Mapping | Promise<Mapping> {
    return this.#from(0, { status: 'unmapped', reason: '' }, asked)
  }

  *trials(...asked: Asked): Generator<Trial> {
    for (const mapper of this.#mappers) yield* mapper.trials?.(...asked) ?? []
  }

  #from(index: number, before: Unmapped, asked: Asked): Mapping | Promise<Mapping> {
    const mapper = this.#mappers[index]
    if (!mapper) return before
    const mapping = mapper.map(...asked)
    const next = (found: Mapping) => {
      if (found.status === 'mapped') return noLonger(found, before)
      const neither = together(before, found)
      return found.disabled ? { ...neither, disabled: true as const } : this.#from(index + 1, neither, asked)
    }
    return mapping instanceof Promise ? mapping.then(next) : next(mapping)
  }
}

/** An earlier mapper that knew nobody may know somebody when it is asked again. */
function noLonger(found: Mapped, { until }: Unmapped): Mapped {
  if (until === undefined || until >= (found.until ?? Number.POSITIVE_INFINITY)) return found
  return Object.freeze({ ...found, until })
}

type Mapped = Extract<Mapping, { status: 'mapped' }>
type Unmapped = Extract<Mapping, { status: 'unmapped' }>

function together(one: Unmapped, other: Unmapped): Unmapped {
  return {
    status: 'unmapped',
    reason: one.reason === '' ? other.reason : `${one.reason}; ${other.reason}`,
    headers: [...(one.headers ?? []), ...(other.headers ?? [])],
    until: earlier(one.until, other.until),
  }
}

function earlier(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined || other === undefined ? (one ?? other) : Math.min(one, other)
}
