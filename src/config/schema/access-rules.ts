/** Who may pass, once it is known who is calling: `allow` and `deny` of services and routes. */
import * as z from 'zod'
import type { Problem } from '../../errors.ts'
import { pathTo } from '../place.ts'
import { network } from './addresses.ts'
import { groupName } from './consumers.ts'
import { block, field, type Kind, list, Unfit } from './field.ts'
import { foreignKey } from './foreign-key.ts'
import { checkNameRules, nameRule } from './name-rules.ts'
import { matching, text } from './scalars.ts'

/** A time of the week, in minutes of the day. */
export interface TimeOfWeek {
  /** 0 is Sunday. */
  readonly days: readonly number[]
  readonly from: number
  /** Not included. At or before `from`: of the next day. */
  readonly to: number
  readonly zone: string
}

const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat']
const DAY = `(?:${DAYS.join('|')})`
const TIME = new RegExp(
  `^(?:(${DAY}(?:-${DAY})?(?:,${DAY}(?:-${DAY})?)*) )?([01]\\d|2[0-3]):([0-5]\\d)-([01]\\d|2[0-4]):([0-5]\\d)(?: ([A-Za-z][\\w+/-]*))?$`,
)

const timeOfWeek: Kind<TimeOfWeek> = {
  expected: 'a time such as 08:00-18:00 or "Mon-Fri 22:00-06:00 Europe/Berlin"; UTC without a time zone',
  json: { type: 'string' },
  parse(value) {
    const [whole, days, fromHour, fromMinute, toHour, toMinute, zone = 'UTC'] =
      (typeof value === 'string' && TIME.exec(value)) || []
    const from = Number(fromHour) * 60 + Number(fromMinute)
    const to = Number(toHour) * 60 + Number(toMinute)
    if (whole === undefined || to > 24 * 60) throw new Unfit('')
    if (from === to) throw new Unfit('begins when it ends; write 00:00-24:00 for the whole day')
    if (!isTimeZone(zone)) throw new Unfit('names no time zone that is known; expected one such as Europe/Berlin')
    return { days: days === undefined ? [0, 1, 2, 3, 4, 5, 6] : daysOf(days), from, to, zone }
  },
}

function isTimeZone(zone: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: zone })
    return true
  } catch {
    return false
  }
}

function daysOf(written: string): number[] {
  return written.split(',').flatMap((part) => {
    const [first = 0, last = first] = part.split('-').map((day) => DAYS.indexOf(day))
    return Array.from({ length: ((last - first + 7) % 7) + 1 }, (_, i) => (first + i) % 7)
  })
}

const accessRule = block('Everything that is written must hold; of the values of one setting, one is enough.', {
  users: list(text, { about: 'The names of users.' }),
  groups: list(groupName, { about: 'Groups to one of which the user must belong.' }),
  certificate: z
    .array(nameRule)
    .optional()
    .describe('What the verified certificate of the connection must be called: one of these rules.'),
  addresses: list(network, { about: "The client's address, as for X-Real-IP." }),
  methods: list(matching(/^[A-Z]+$/, 'a method in upper case, such as GET'), { about: 'Methods of the request.' }),
  times: list(timeOfWeek, { about: 'Times of the week, as "Mon-Fri 08:00-18:00 Europe/Berlin".' }),
})

/** The settings by which services and routes say who may pass. */
export const accessRules = {
  allow: z
    .array(accessRule)
    .optional()
    .describe(
      'Who may pass: one of these must hold, else 403. Of a service and its route both must let him. An empty list, or a rule without conditions, lets nobody pass.',
    ),
  deny: z
    .array(accessRule)
    .optional()
    .describe(
      'Who may not, whatever allow says: if one of these holds, 403. A rule without conditions holds for everybody.',
    ),
  authorization_plugins: list(text, {
    otherwise: "none; for a route, its service's",
    about: 'Plugins that must let each request pass too, in order, after allow and deny (docs/plugins.md).',
  }),
  default_consumer: field(foreignKey('a consumer'), {
    about: 'Whom a verified certificate stands for that belongs to no user, as in Kong.',
  }),
}

export type AccessRuleConfig = z.output<typeof accessRule>

/** What stands at one place, a service or a route. */
export interface AccessRulesConfig {
  readonly at: string
  readonly allow: readonly AccessRuleConfig[] | undefined
  readonly deny: readonly AccessRuleConfig[] | undefined
}

interface Written {
  readonly at: string
  readonly allow?: readonly AccessRuleConfig[] | undefined
  readonly deny?: readonly AccessRuleConfig[] | undefined
}

export function checkAccessRules({ at, allow = [], deny = [] }: Written): Problem[] {
  return Object.entries({ allow, deny }).flatMap(([name, rules]) =>
    rules.flatMap((rule, i) => checkAccessRule(rule, `${at}.${name}[${i}]`)),
  )
}

function checkAccessRule(rule: AccessRuleConfig, at: string): Problem[] {
  const empty = Object.entries(rule).filter(([, values]) => Array.isArray(values) && values.length === 0)
  return [
    ...empty.map(([name]) => ({ path: pathTo(at, name), message: 'is empty; write a value, or remove it' })),
    ...(rule.certificate?.length ? checkNameRules(rule.certificate, pathTo(at, 'certificate')) : []),
  ]
}
