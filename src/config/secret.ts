import { type Kind, Unfit } from './schema/field.ts'

const HIDDEN = '***'

/** A value that cannot be printed by accident. */
export class Secret {
  readonly #value: string

  constructor(value: string) {
    this.#value = value
  }

  reveal(): string {
    return this.#value
  }

  toString(): string {
    return HIDDEN
  }

  toJSON(): string {
    return HIDDEN
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return HIDDEN
  }
}

export const secret: Kind<Secret> = {
  expected: 'a passphrase, in quotes',
  json: { type: 'string', minLength: 1 },
  parse(value) {
    if (typeof value === 'string' && value !== '') return new Secret(value)
    throw new Unfit('')
  },
}
