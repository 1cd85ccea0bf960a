import type * as z from 'zod'
import { listenAddressOrOff } from './addresses.ts'
import { block, field } from './field.ts'

export const admin = block('The listener for health checks and metrics: /healthz, /readyz, /metrics. Plain HTTP.', {
  listen: field(listenAddressOrOff, {
    default: '127.0.0.1:9901',
    env: 'SALLYPORT_ADMIN_LISTEN',
    about: 'Where it listens, or off. It has no authentication: keep it on loopback or on a network of your own.',
  }),
})

export type AdminConfig = z.output<typeof admin>
