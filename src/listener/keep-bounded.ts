/** Adds an entry and keeps only the newest `most` entries. */
export function keepBounded<T>(memory: Map<string, T>, key: string, value: T, most: number): void {
  memory.delete(key)
  memory.set(key, value)
  if (memory.size <= most) return
  const oldest = memory.keys().next().value
  if (oldest !== undefined) memory.delete(oldest)
}
