import { type DerElement, DerError, TAG } from './der.ts'

/** A time of a certificate or revocation list. */
export interface Moment {
  /** Since the epoch; undefined where the time is not readable. */
  readonly milliseconds: number | undefined
  /** Whether it is in one of the two forms of RFC 5280 4.1.2.5, the only ones that OpenSSL compares in certificates and lists (X509_cmp_time). */
  readonly isComparable: boolean
  /** As OpenSSL prints it: `Feb  3 00:55:52 2015 GMT`. */
  readonly text: string
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

/** BER lets seconds and fractions be absent and has offsets (X.680 46, 47); OpenSSL reads them all, but wants a zone. */
const UTC_TIME = /^(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})?()(?:Z|([+-])(\d{2})(\d{2}))$/
const GENERALIZED_TIME = /^(\d{4})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})?(\.\d+)?(?:Z|([+-])(\d{2})(\d{2}))$/

/** `YYMMDDHHMMSSZ` and `YYYYMMDDHHMMSSZ`: nothing else that is a time has as many characters. */
const COMPARABLE = { utc: 13, generalized: 15 }

/**
 * Reads a Time of RFC 5280 4.1.2.5: UTCTime (years 1950 to 2049) or GeneralizedTime.
 * @throws {DerError} where it is no time
 */
export function readTime(element: DerElement): Moment {
  const isUtcTime = element.tag === TAG.UTC_TIME
  if (!isUtcTime && element.tag !== TAG.GENERALIZED_TIME) throw new DerError('a date has a wrong type')
  const match = (isUtcTime ? UTC_TIME : GENERALIZED_TIME).exec(element.content.toString('latin1'))
  if (match === null) throw new DerError('a date is malformed')
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map((digits) => Number(digits ?? 0)) as SixNumbers
  const [fraction = '', sign, offsetHours, offsetMinutes] = match.slice(7)
  const fullYear = isUtcTime ? year + (year < 50 ? 2000 : 1900) : year
  const written = writtenTime(fullYear, month, day, hour, minute, second)
  const utc = new Date(written - offset(sign, Number(offsetHours), Number(offsetMinutes)))
  return {
    milliseconds: utc.getTime() + Math.floor(Number(`0${fraction || '.0'}`) * 1000),
    isComparable: element.content.length === (isUtcTime ? COMPARABLE.utc : COMPARABLE.generalized),
    text: formatTime(utc, fraction),
  }
}

type SixNumbers = [number, number, number, number, number, number]

/** Date rolls over what does not exist, as February 30th or 25 o'clock; such a time is none. */
function writtenTime(...[year, month, day, hour, minute, second]: SixNumbers): number {
  const date = new Date(0)
  date.setUTCFullYear(year, month - 1, day)
  date.setUTCHours(hour, minute, second)
  const isReal = date.getUTCDate() === day && date.getUTCHours() === hour && date.getUTCMinutes() === minute
  if (!isReal || month > 12 || second > 59) throw new DerError('a date does not exist')
  return date.getTime()
}

/** Milliseconds east of Greenwich. */
function offset(sign: string | undefined, hours: number, minutes: number): number {
  if (sign === undefined) return 0
  if (hours > 12 || minutes > 59) throw new DerError('a date has an offset that does not exist')
  return (sign === '-' ? -1 : 1) * (hours * 60 + minutes) * 60_000
}

function formatTime(date: Date, fraction: string): string {
  const clock = date.toISOString().slice(-13, -5)
  const day = String(date.getUTCDate()).padStart(2, ' ')
  return `${MONTHS[date.getUTCMonth()]} ${day} ${clock}${fraction} ${date.getUTCFullYear()} GMT`
}
