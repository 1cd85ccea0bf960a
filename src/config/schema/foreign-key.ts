import { type Kind, Unfit } from './field.ts'

/** Kong's foreign key: a name (of a consumer: username) or id, or a map that holds one of them. Parsed to the name or id. */
export function foreignKey(what: string): Kind<string> {
  return {
    expected: `the name or id of ${what}, or a map with one of them`,
    json: {
      anyOf: [
        { type: 'string', minLength: 1 },
        {
          type: 'object',
          properties: { id: { type: 'string' }, name: { type: 'string' }, username: { type: 'string' } },
          additionalProperties: false,
          minProperties: 1,
          maxProperties: 1,
        },
      ],
    },
    parse(value) {
      const written = typeof value === 'object' && value !== null ? onlyValue(value) : value
      if (typeof written === 'string' && written !== '') return written
      throw new Unfit('')
    },
  }
}

function onlyValue(value: object): unknown {
  const [[key, found] = [], ...more] = Object.entries(value)
  return more.length === 0 && (key === 'id' || key === 'name' || key === 'username') ? found : undefined
}
