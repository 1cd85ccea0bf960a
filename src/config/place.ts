/** Positions of settings: paths such as `services[0].url`, and the line, column or variable behind each. */
import type { Problem } from '../errors.ts'
import type { Spots } from './yaml/spots.ts'

/** The path of a child of `parent`: a key, or an index. */
export function pathTo(parent: string, step: string | number): string {
  if (typeof step === 'number') return `${parent}[${step}]`
  return parent === '' ? step : `${parent}.${step}`
}

/** The paths that contain this one, from the longest on, itself included. Keys may hold dots, so some of them name nothing; that does no harm. */
function* enclosing(path: string): Generator<string> {
  let current = path
  while (current !== '') {
    yield current
    current = current.slice(0, Math.max(current.lastIndexOf('.'), current.lastIndexOf('['), 0))
  }
  yield ''
}

/** The place of a Problem: everything but its message. */
export type Place = Omit<Problem, 'message'>

export interface Position {
  readonly line: number
  readonly column: number
}

/** Remembers where each setting came from. */
export class Places {
  readonly #source: string | undefined
  readonly #given = new Map<string, Place>()
  #standing: { readonly spots: Spots; readonly positionAt: (offset: number) => Position } | undefined

  /** `source` is the configuration file, if there is one. */
  constructor(source: string | undefined) {
    this.#source = source
  }

  /** Takes the positions of everything in the file. */
  stand(spots: Spots, positionAt: (offset: number) => Position): void {
    this.#standing = { spots, positionAt }
  }

  /** Records that a setting was given by a variable or on the command line, whatever the file says. */
  given(path: string, by: Place): void {
    this.#given.set(path, by)
  }

  /** Whether the setting stands in the file, rather than in a variable. */
  isInFile(path: string): boolean {
    return this.#source !== undefined && this.locate(path).source === this.#source
  }

  /** Where the user finds a setting: the variable that gave it, else the line that holds it or would hold it. */
  locate(path: string): Place {
    for (const candidate of enclosing(path)) {
      const by = this.#given.get(candidate)
      if (by) return by
      const position = this.#positionOf(candidate)
      if (position && this.#source !== undefined) return { path, source: this.#source, ...position }
    }
    return this.#source === undefined ? { path } : { path, source: this.#source }
  }

  #positionOf(path: string): Position | undefined {
    const offset = this.#standing?.spots.find(path)
    return offset === undefined ? undefined : this.#standing?.positionAt(offset)
  }
}
