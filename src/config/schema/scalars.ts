/** The types of plain values: text, numbers, switches, times and sizes, as nginx and Kong write them. */
import { type Kind, Unfit } from './field.ts'

/** What an editor must let through besides the value itself: a reference to the environment. */
const REFERENCE = '\\$\\{.+\\}'

export const text: Kind<string> = {
  expected: 'text, in quotes if it looks like a number',
  json: { type: 'string', minLength: 1 },
  parse(value) {
    if (typeof value !== 'string') throw new Unfit('')
    if (value === '') throw new Unfit('is empty; write a value or remove the setting')
    return value
  },
}

/** Text that must look like `pattern`; `expected` completes "expected …". */
export function matching(pattern: RegExp, expected: string): Kind<string> {
  return {
    expected,
    json: { type: 'string', pattern: `${pattern.source}|${REFERENCE}` },
    parse(value) {
      if (typeof value === 'string' && pattern.test(value)) return value
      throw new Unfit('')
    },
  }
}

/** A whole number from `min` to `max`. Digits in quotes count too: the environment knows only text. */
export function integer(min: number, max: number): Kind<number> {
  return {
    expected: `a whole number from ${min} to ${max}`,
    json: { type: ['integer', 'string'], minimum: min, maximum: max, pattern: `^-?\\d+$|${REFERENCE}` },
    parse(value) {
      const number = typeof value === 'string' && /^-?\d{1,15}$/.test(value) ? Number(value) : value
      if (typeof number === 'number' && Number.isInteger(number) && number >= min && number <= max) return number
      throw new Unfit('')
    },
  }
}

const SWITCH = new Map<unknown, boolean>([
  ['on', true],
  ['true', true],
  [true, true],
  ['off', false],
  ['false', false],
  [false, false],
])

/** nginx's and Kong's `on` and `off`, or YAML's true and false. */
export const onOff: Kind<boolean> = {
  expected: 'on or off',
  json: { type: ['boolean', 'string'], pattern: `^(on|off|true|false)$|${REFERENCE}` },
  parse(value) {
    const found = SWITCH.get(value)
    if (found === undefined) throw new Unfit('')
    return found
  },
}

/** One of a few words. */
export function choice<const T extends readonly string[]>(...words: T): Kind<T[number]> {
  return {
    words,
    expected: words.length === 1 ? `${words[0]}` : `one of ${words.join(', ')}`,
    json: { anyOf: [{ enum: words }, { type: 'string', pattern: REFERENCE }] },
    parse(value) {
      if (typeof value === 'string' && words.includes(value)) return value
      throw new Unfit('')
    },
  }
}

/** One of a few whole numbers. */
export function oneOfNumbers(...numbers: readonly number[]): Kind<number> {
  return {
    expected: `one of ${numbers.join(', ')}`,
    json: { anyOf: [{ enum: numbers }, { type: 'string', pattern: REFERENCE }] },
    parse(value) {
      const number = typeof value === 'string' ? Number(value) : value
      if (typeof number === 'number' && numbers.includes(number)) return number
      throw new Unfit('')
    },
  }
}

const MILLISECONDS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 }
/** The longest that Node's timers can wait; a longer one would fire at once. */
const LONGEST = 2 ** 31 - 1

/** nginx's time: `500ms`, `60s`, `1m`, `1h 30m`; a bare number is seconds. Parsed to milliseconds. */
export const duration: Kind<number> = {
  expected: 'a duration such as 60s, 500ms, 5m or 1h',
  json: { type: ['string', 'number'], pattern: `^\\d+(ms|[smhdw])?( ?\\d+(ms|[smhdw]))*$|${REFERENCE}`, minimum: 0 },
  parse(value) {
    const written = typeof value === 'number' ? `${value}` : value
    if (typeof written !== 'string' || !/^\s*(\d{1,12}\s*(ms|[smhdw])\s*)+$|^\s*\d{1,12}\s*$/.test(written))
      throw new Unfit('')
    let total = 0
    let last = Number.POSITIVE_INFINITY
    for (const [, count, unit] of written.matchAll(/(\d+)\s*(ms|[smhdw])?/g)) {
      const factor = MILLISECONDS[unit ?? 's'] ?? 0
      // As in nginx: "75s 60s" is two times, of which nobody wants the sum.
      if (factor >= last)
        throw new Unfit('is more than one duration; expected one such as 1h 30m, the larger unit first')
      last = factor
      total += Number(count) * factor
    }
    if (total > LONGEST) throw new Unfit('is too long; expected at most 24 days')
    return total
  },
}

/** Like `duration`, but zero makes no sense: a wait that is over before it begins. */
export const positiveDuration: Kind<number> = {
  ...duration,
  parse(value) {
    const milliseconds = duration.parse(value)
    if (milliseconds === 0) throw new Unfit('must not be 0; expected a duration such as 60s')
    return milliseconds
  },
}

/** A point in time as RFC 3339 writes it. Parsed to milliseconds since the epoch. */
export const timestamp: Kind<number> = {
  expected: 'a time such as 2027-01-31T12:00:00Z',
  json: { type: 'string', format: 'date-time' },
  parse(value) {
    const time =
      typeof value === 'string' && /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[+-]\d\d:\d\d)$/.test(value)
        ? Date.parse(value.replace(' ', 'T'))
        : Number.NaN
    if (Number.isNaN(time)) throw new Unfit('')
    return time
  },
}

const BYTES: Record<string, number> = { k: 1024, m: 1024 ** 2, g: 1024 ** 3 }

/** nginx's size: `8192`, `16k`, `1m`, `1g`. Parsed to bytes. */
export function size(min: number, max: number): Kind<number> {
  return {
    expected: 'a size such as 16k, 1m or a number of bytes',
    json: { type: ['string', 'integer'], pattern: `^\\d+[kKmMgG]?$|${REFERENCE}`, minimum: 0 },
    parse(value) {
      const written = typeof value === 'number' ? `${value}` : value
      const parts = typeof written === 'string' ? /^(\d{1,15})([kKmMgG]?)$/.exec(written) : undefined
      if (!parts) throw new Unfit('')
      const bytes = Number(parts[1]) * (BYTES[(parts[2] ?? '').toLowerCase()] ?? 1)
      if (bytes < min || bytes > max) throw new Unfit(`is out of range; expected ${min} to ${max} bytes`)
      return bytes
    },
  }
}
