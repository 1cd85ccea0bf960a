/** What a certificate may be called: rules over its subject's attributes, its issuer's and its alternative names. */
import type * as z from 'zod'
import type { Problem } from '../../errors.ts'
import { pathTo } from '../place.ts'
import { network } from './addresses.ts'
import { block, type Kind, map, Unfit } from './field.ts'

const MOST_STARS = 8

/** One pattern or several. */
const patterns: Kind<readonly string[]> = {
  expected: 'a value such as ada, svc-* or *@example.com, or a list of them',
  json: {
    anyOf: [
      { type: 'string', minLength: 1 },
      { type: 'array', minItems: 1, items: { type: 'string', minLength: 1 } },
    ],
  },
  parse(value) {
    const written: unknown[] = Array.isArray(value) ? value : [value]
    if (written.length === 0) throw new Unfit('is empty; write a value or remove it')
    return written.map(onePattern)
  },
}

function onePattern(value: unknown): string {
  if (typeof value !== 'string' || value === '') throw new Unfit('')
  if (/[\x00-\x1f\x7f-\x9f]/.test(value)) throw new Unfit('holds a control character, which no name may have')
  if (/\\(?![\\*])/.test(value))
    throw new Unfit('holds a backslash before something else than * or \\; write \\\\ for a backslash')
  if (value.split('*').length > MOST_STARS + 1) throw new Unfit(`has more than ${MOST_STARS} stars`)
  if (value.startsWith('#'))
    throw new Unfit('begins with #, as the text of a value that is no text; such values cannot be compared')
  return value
}

export const nameRule = block('One way in which a certificate may be called: everything that it names must fit.', {
  subject: map(patterns, {
    default: {},
    about:
      'Attributes of the subject, by short name (CN, O, OU, UID, emailAddress, …) or object identifier. The whole value must fit: * stands for one or more characters, \\* for a star; of several values one is enough.',
  }),
  issuer: map(patterns, { default: {}, about: 'Attributes of the issuer, likewise.' }),
  san: map(patterns, {
    default: {},
    about:
      'Alternative names by kind: dns, email, uri, upn, ip. In a dns name * stays within one label, in a uri within one segment, in email and upn on its side of the @; ** crosses them. ip takes addresses and networks.',
  }),
})

export type NameRuleConfig = z.output<typeof nameRule>

const KINDS = ['dns', 'email', 'uri', 'upn', 'ip']
const ATTRIBUTE = /^([A-Za-z][A-Za-z0-9-]*|\d+(\.\d+)+)$/

export function checkNameRules(rules: readonly NameRuleConfig[] | undefined, path: string): Problem[] {
  if (rules === undefined) return []
  if (rules.length === 0) return [{ path, message: 'is empty, which would let nobody in; write a rule, or remove it' }]
  return rules.flatMap((rule, index) => checkNameRule(rule, pathTo(path, index)))
}

function checkNameRule({ subject = {}, issuer = {}, san = {} }: Partial<NameRuleConfig>, path: string): Problem[] {
  if ([subject, issuer, san].every((part) => Object.keys(part).length === 0)) {
    return [{ path, message: 'names nothing; expected subject, issuer or san with a value' }]
  }
  const attributes = [
    ...Object.keys(subject).map((name) => [name, `${path}.subject.${name}`] as const),
    ...Object.keys(issuer).map((name) => [name, `${path}.issuer.${name}`] as const),
  ]
  const unknown = attributes.filter(([name]) => !ATTRIBUTE.test(name))
  return [
    ...unknown.map(([, place]) => ({
      path: place,
      message: 'is no attribute; expected a short name such as CN, or an object identifier',
    })),
    ...Object.entries(san).flatMap(([kind, values]) => checkAlternativeName(kind, values, `${path}.san.${kind}`)),
  ]
}

function checkAlternativeName(kind: string, values: readonly string[], path: string): Problem[] {
  if (!KINDS.includes(kind))
    return [{ path, message: `is no kind of alternative name; expected one of ${KINDS.join(', ')}` }]
  if (kind !== 'ip') return []
  return values.every(isNetwork) ? [] : [{ path, message: `expected ${network.expected}` }]
}

function isNetwork(value: string): boolean {
  try {
    network.parse(value)
    return true
  } catch (error) {
    if (error instanceof Unfit) return false
    throw error
  }
}
