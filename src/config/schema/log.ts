import type * as z from 'zod'
import { block, field } from './field.ts'
import { choice, onOff } from './scalars.ts'

export const log = block('What is logged: JSON, one line each, on standard output.', {
  level: field(choice('debug', 'info', 'warn', 'error'), {
    default: 'info',
    env: 'SALLYPORT_LOG_LEVEL',
    about: 'The least severe line that is written: debug, info, warn or error.',
  }),
  access_log: field(onOff, {
    default: 'on',
    env: 'SALLYPORT_ACCESS_LOG',
    about: 'Whether each request gets a line.',
  }),
})

export type LogConfig = z.output<typeof log>
