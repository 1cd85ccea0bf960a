/** Finds the first of many candidates without looking at most of them. */
import type { Slices } from '../slices.ts'
import type { Candidate } from './candidate.ts'

interface Ranked {
  /** Its place in the order of precedence. */
  readonly rank: number
  readonly candidate: Candidate
}

/** Whether a candidate matches the whole request; called in the order of precedence. */
export type Matches<Q> = (candidate: Candidate, query: Q) => boolean

/**
 * Candidates by host, then by path, so that ten thousand routes cost a request as much as ten (docs/performance-log.md). Candidates that are found are
 * still checked, so the index only leaves out those that cannot match. Regular expressions, and candidates with neither host nor path, cannot be
 * indexed and are checked one after the other.
 */
export class RouteIndex {
  readonly #anyHost = new PathIndex()
  readonly #exact = new Map<string, PathIndex>()
  /** By `.example.org` and `example.`. */
  readonly #suffixes = new Map<string, PathIndex>()
  readonly #prefixes = new Map<string, PathIndex>()

  /** @param candidates in the order of precedence */
  static *of(candidates: readonly Candidate[]): Slices<RouteIndex> {
    const index = new RouteIndex()
    for (const [rank, candidate] of candidates.entries()) {
      index.#add(rank, candidate)
      yield
    }
    return index
  }

  #add(rank: number, candidate: Candidate): void {
    const { hosts } = candidate
    if (hosts === undefined) this.#anyHost.add({ rank, candidate })
    else for (const { kind, text } of hosts) indexOf(this.#tableOf(kind), text).add({ rank, candidate })
  }

  /** The first that matches. */
  find<Q>(host: string, path: string, query: Q, matches: Matches<Q>): Candidate | undefined {
    let best = this.#anyHost.find(path, query, matches, undefined)
    const exact = this.#exact.get(host)
    if (exact !== undefined) best = exact.find(path, query, matches, best)
    if (this.#suffixes.size > 0 || this.#prefixes.size > 0) best = this.#findWildcard(host, path, query, matches, best)
    return best?.candidate
  }

  #findWildcard<Q>(
    host: string,
    path: string,
    query: Q,
    matches: Matches<Q>,
    before: Ranked | undefined,
  ): Ranked | undefined {
    let best = before
    for (let dot = host.indexOf('.'); dot !== -1; dot = host.indexOf('.', dot + 1)) {
      const suffix = this.#suffixes.get(host.slice(dot))
      if (suffix !== undefined) best = suffix.find(path, query, matches, best)
      const prefix = this.#prefixes.get(host.slice(0, dot + 1))
      if (prefix !== undefined) best = prefix.find(path, query, matches, best)
    }
    return best
  }

  #tableOf(kind: 'exact' | 'suffix' | 'prefix'): Map<string, PathIndex> {
    if (kind === 'exact') return this.#exact
    return kind === 'suffix' ? this.#suffixes : this.#prefixes
  }
}

/** The candidates of one host, by the beginning of the path. */
class PathIndex {
  readonly #byPrefix = new Map<string, Ranked[]>()
  /** The lengths of all prefixes: one look-up in the path for each. */
  readonly #lengths: number[] = []
  readonly #others: Ranked[] = []

  add(ranked: Ranked): void {
    const { prefix } = ranked.candidate
    if (prefix === undefined) {
      this.#others.push(ranked)
      return
    }
    const same = this.#byPrefix.get(prefix)
    // A route may name a host twice.
    if (same === undefined) this.#byPrefix.set(prefix, [ranked])
    else if (same.at(-1)?.rank !== ranked.rank) same.push(ranked)
    if (!this.#lengths.includes(prefix.length)) this.#lengths.push(prefix.length)
  }

  /** The first of `before` and the candidates here that match, in the order of precedence. */
  find<Q>(path: string, query: Q, matches: Matches<Q>, before: Ranked | undefined): Ranked | undefined {
    let best = first(this.#others, query, matches, before)
    for (const length of this.#lengths) {
      if (length > path.length) continue
      const filed = this.#byPrefix.get(length === path.length ? path : path.slice(0, length))
      if (filed !== undefined) best = first(filed, query, matches, best)
    }
    return best
  }
}

function first<Q>(
  list: readonly Ranked[],
  query: Q,
  matches: Matches<Q>,
  before: Ranked | undefined,
): Ranked | undefined {
  for (const ranked of list) {
    if (before !== undefined && ranked.rank > before.rank) return before
    if (matches(ranked.candidate, query)) return ranked
  }
  return before
}

function indexOf(table: Map<string, PathIndex>, text: string): PathIndex {
  const known = table.get(text)
  if (known !== undefined) return known
  const made = new PathIndex()
  table.set(text, made)
  return made
}
