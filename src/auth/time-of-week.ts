/** Times of the week in a time zone, summer time included. */

/** In minutes of the day; see the configuration. */
export interface TimeOfWeek {
  /** 0 is Sunday. */
  readonly days: readonly number[]
  readonly from: number
  /** Not included. At or before `from`: of the next day. */
  readonly to: number
  readonly zone: string
}

const MINUTE = 60_000
const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat']

/** Whether a moment (milliseconds since the epoch) lies in one of the times. The result holds for a whole minute, and is computed once for it. */
export function createTimes(times: readonly TimeOfWeek[]): (now: number) => boolean {
  const checks = times.map(check)
  let minute = Number.NaN
  let verdict = false
  return (now) => {
    const current = Math.floor(now / MINUTE)
    if (current !== minute) {
      minute = current
      verdict = checks.some((lies) => lies(now))
    }
    return verdict
  }
}

function check({ days, from, to, zone }: TimeOfWeek): (now: number) => boolean {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: zone,
    weekday: 'short',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  })
  return (now) => {
    const parts = new Map(format.formatToParts(now).map(({ type, value }) => [type, value]))
    const day = DAYS.indexOf(parts.get('weekday') ?? '')
    const at = Number(parts.get('hour')) * 60 + Number(parts.get('minute'))
    if (from < to) return days.includes(day) && at >= from && at < to
    // After midnight the previous day's time may still run.
    return (days.includes(day) && at >= from) || (days.includes((day + 6) % 7) && at < to)
  }
}
