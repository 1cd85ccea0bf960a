/** What one identity header holds: a field, or a template such as `id={serial};dn={subject_dn|quoted}`. */
import { type Kind, Unfit } from './field.ts'
import { FREE_TEXT, IDENTITY_FIELDS, type IdentityField } from './identity-fields.ts'

/** How a fact is encoded, so that no part of it can be read as the text around it. */
const FILTERS = ['quoted', 'escaped', 'base64', 'raw'] as const

type Filter = (typeof FILTERS)[number]

export type IdentityTemplate = readonly (
  | string
  | { readonly fact: IdentityField; readonly filter: Filter | undefined }
)[]

const names = Object.keys(IDENTITY_FIELDS) as IdentityField[]
const TOKEN = /\{\{|\}\}|\{([^{}]*)\}|[{}]|[^{}]+/g

export const identityValue: Kind<IdentityField | IdentityTemplate> = {
  words: names,
  expected: `one of ${names.join(', ')}, or a template of them such as "id={serial};dn={subject_dn|quoted}"`,
  json: { anyOf: [{ enum: names }, { type: 'string', pattern: '\\{.+\\}' }] },
  parse(value) {
    if (typeof value !== 'string') throw new Unfit('')
    if (isField(value)) return value
    if (!/[{}]/.test(value)) throw new Unfit(ofNginx(value))
    if (!/^[\x20-\x7e]*$/.test(value)) throw new Unfit('holds a character that no header may hold; expected ASCII')
    return parseTemplate(value)
  },
}

/** What holds one of nginx's variables, as the descriptions of the fields say; empty for anything else. */
function ofNginx(value: string): string {
  const field = names.find((name) => value !== '' && IDENTITY_FIELDS[name].endsWith(`(${value})`))
  return field === undefined ? '' : `is a variable of nginx's; write ${field}`
}

function parseTemplate(written: string): IdentityTemplate {
  const parts = [...written.matchAll(TOKEN)].map(([token, inside]) => {
    if (token === '{{' || token === '}}') return token.slice(1)
    if (token === '{' || token === '}') throw new Unfit(`holds a lone "${token}"; write it twice to mean the character`)
    return inside === undefined ? token : placeholder(inside)
  })
  const facts = parts.filter((part) => typeof part !== 'string')
  if (facts.length === 0) throw new Unfit('names no fact; expected a template such as "id={serial}"')
  const risky =
    parts.length > 1 ? facts.find(({ fact, filter }) => FREE_TEXT.has(fact) && filter === undefined) : undefined
  if (!risky) return parts
  throw new Unfit(
    `mixes {${risky.fact}} with other text, which it could imitate; write {${risky.fact}|quoted}, |escaped or |base64, or |raw if that does no harm`,
  )
}

function placeholder(inside: string): IdentityTemplate[number] {
  const [fact = '', filter, ...more] = inside.split('|')
  if (!isField(fact)) throw new Unfit(`names no fact with {${inside}}; known: ${names.join(', ')}`)
  if (more.length > 0 || (filter !== undefined && !isFilter(filter)))
    throw new Unfit(`has no such filter as in {${inside}}; known: ${FILTERS.join(', ')}`)
  return { fact, filter }
}

function isField(word: string): word is IdentityField {
  return Object.hasOwn(IDENTITY_FIELDS, word)
}

function isFilter(word: string): word is Filter {
  return (FILTERS as readonly string[]).includes(word)
}
