/** Finds and removes credentials in the query. Both use the same parsing, so that no spelling is accepted and yet passed on. */

/** The values of the parameters whose decoded name is `key`. `query` is empty or begins with `?`. */
export function valuesOf(query: string, key: string): readonly string[] {
  return partsOf(query).flatMap((part) => (nameOf(part) === key ? [decoded(part.slice(part.indexOf('=') + 1))] : []))
}

/** The query without these parameters, the others as the client wrote them. */
export function withoutKeys(query: string, keys: ReadonlySet<string>): string {
  const parts = partsOf(query)
  const kept = parts.filter((part) => !keys.has(nameOf(part)))
  if (kept.length === parts.length) return query
  return kept.length === 0 ? '' : `?${kept.join('&')}`
}

function partsOf(query: string): string[] {
  return query === '' ? [] : query.slice(1).split('&')
}

function nameOf(part: string): string {
  const end = part.indexOf('=')
  return decoded(end < 0 ? part : part.slice(0, end))
}

/** Decodes as forms are decoded. Broken escapes stay as they are. */
function decoded(text: string): string {
  if (!/[%+]/.test(text)) return text
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    return text
  }
}
