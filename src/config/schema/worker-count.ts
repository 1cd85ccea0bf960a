import { availableParallelism } from 'node:os'
import { type Kind, Unfit } from './field.ts'

const MOST = 256

export const workerCount: Kind<number> = {
  expected: `auto, or a number from 1 to ${MOST}`,
  json: { anyOf: [{ type: 'integer', minimum: 1, maximum: MOST }, { enum: ['auto'] }] },
  parse(value) {
    if (value === 'auto') return availableParallelism()
    const count = typeof value === 'string' && /^\d{1,3}$/.test(value) ? Number(value) : value
    if (typeof count === 'number' && Number.isInteger(count) && count >= 1 && count <= MOST) return count
    throw new Unfit('')
  },
}
