/** What a text without quotes means, by YAML 1.2's core schema (10.3.2). */

const NUMBER = /^(?:0|[1-9]\d{0,14})$/
/** What is no text there, in any case of its letters. */
const NO_TEXT =
  /^(?:~|null|true|false|[-+]?(?:0o[0-7]+|0x[\da-f]+|(?:\.\d+|\d+(?:\.\d*)?)(?:e[-+]?\d+)?|\.inf)|\.nan)$/i
const WORDS = new Map<string, boolean | null>([
  ['true', true],
  ['false', false],
  ['null', null],
  ['~', null],
])

/** Undefined where it is nothing, or a number or word that is not written as most are. */
export function plainScalar(text: string): string | number | boolean | null | undefined {
  const word = WORDS.get(text)
  if (word !== undefined) return word
  if (NUMBER.test(text)) return Number(text)
  return text === '' || NO_TEXT.test(text) ? undefined : text
}
