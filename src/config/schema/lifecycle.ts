/** How the gateway ends, and how it takes a changed configuration. */
import type * as z from 'zod'
import { block, field } from './field.ts'
import { duration, onOff, positiveDuration } from './scalars.ts'

export const shutdown = block('What happens on SIGTERM.', {
  delay: field(duration, {
    default: '0s',
    env: 'SALLYPORT_SHUTDOWN_DELAY',
    about: '/readyz fails for so long before the listeners close, for load balancers to notice.',
  }),
  keepalive_timeout: field(duration, {
    default: '2s',
    env: 'SALLYPORT_SHUTDOWN_KEEPALIVE_TIMEOUT',
    about:
      'A connection that is kept alive is kept so much longer once its listener closes, for a request that is under way; its answer ends the connection. At most half of timeout.',
  }),
  timeout: field(positiveDuration, {
    default: '30s',
    env: 'SALLYPORT_SHUTDOWN_TIMEOUT',
    about: 'Requests in flight may take so long to finish; then their connections are cut.',
  }),
})

export const reload = block('How a changed configuration is taken over; SIGHUP always works.', {
  watch: field(onOff, {
    default: 'on',
    env: 'SALLYPORT_RELOAD_WATCH',
    about: 'Reload when the configuration or a file that it names changes. A broken file keeps what was in use.',
  }),
})

export type ShutdownConfig = z.output<typeof shutdown>
export type ReloadConfig = z.output<typeof reload>
