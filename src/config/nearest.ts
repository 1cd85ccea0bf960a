/** "Did you mean …": the known name that is the fewest typing mistakes away. */

/** Insertions, deletions, replacements and swaps of neighbours (optimal string alignment distance). */
function distance(a: string, b: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = (last[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      let best = Math.min(replaced, (last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1)
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      if (swapped) best = Math.min(best, (beforeLast[j - 2] ?? 0) + 1)
      row.push(best)
    }
    beforeLast = last
    last = row
  }
  return last[b.length] ?? 0
}

/** Beyond this, names are no misspellings of ours, and comparing them would only cost time. */
const LONGEST = 100

/** The nearest of `known`, if it is near enough to be what was meant. */
export function nearest(
  written: string,
  known: Iterable<string>,
  mostMistakes = Math.max(1, Math.floor(written.length / 3)),
): string | undefined {
  if (written.length > LONGEST) return undefined
  let best: string | undefined
  let fewest = mostMistakes + 1
  for (const name of known) {
    if (Math.abs(name.length - written.length) >= fewest) continue
    const mistakes = distance(written.toLowerCase(), name.toLowerCase())
    if (mistakes < fewest) {
      best = name
      fewest = mistakes
    }
  }
  return best
}

/** ` (did you mean "…"?)`, or nothing. */
export function didYouMean(written: string, known: Iterable<string>): string {
  const name = nearest(written, known)
  return name === undefined ? '' : ` (did you mean "${name}"?)`
}
