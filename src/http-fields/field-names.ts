/** Comparing names and values of header fields, many times for each message. */

/**
 * Whether a header field has this name, in any letter case. Most names differ from it in their length or their first letter, and a copy in lower case
 * would cost more than everything else here.
 */
export function isNamed(name: string, lowerCaseName: string): boolean {
  const { length } = lowerCaseName
  if (name.length !== length) return false
  for (let i = 0; i < length; i++) {
    const code = name.charCodeAt(i)
    if ((code >= 0x41 && code <= 0x5a ? code + 0x20 : code) !== lowerCaseName.charCodeAt(i)) return false
  }
  return true
}

/**
 * `===` for a text that may have been cut out of a longer one. V8 keeps such a text as a reference into the longer one from this length on, and compares
 * it by a call into C++, which costs more than all its characters.
 */
export function isSame(known: string, cut: string): boolean {
  const { length } = known
  if (length < SLICED || cut.length !== length) return known === cut
  for (let i = 0; i < length; i++) if (known.charCodeAt(i) !== cut.charCodeAt(i)) return false
  return true
}

const SLICED = 13
