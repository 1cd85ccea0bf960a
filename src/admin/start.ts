import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type BindAddress, bind } from '../bind.ts'
import { listenProblem } from '../listen-problem.ts'
import type { Log } from '../log.ts'
import { type AdminOptions, createAdminServer } from './server.ts'

export interface AdminStart extends Pick<AdminOptions, 'metrics' | 'ready'> {
  readonly log: Log
}

/**
 * Starts the admin listener where the configuration wants one.
 * @throws ConfigError where its address cannot be listened on
 */
export async function startAdmin(
  { listen }: { readonly listen: 'off' | BindAddress },
  { metrics, ready, log }: AdminStart,
): Promise<Server | undefined> {
  if (listen === 'off') return undefined
  const where = 'path' in listen ? `unix:${listen.path}` : `${listen.host}:${listen.port}`
  const admin = createAdminServer({
    metrics,
    ready,
    failed: (err) => log.error({ err }, 'the admin failed to answer'),
  })
  // It runs in the supervisor or in a single process, and is never shared between processes.
  const address = await bind(admin, 'path' in listen ? listen : { ...listen, exclusive: true }).catch((error) => {
    throw listenProblem('admin.listen', where, error)
  })
  const logged = typeof address === 'string' ? { address: where } : { address: address.address, port: address.port }
  log.info({ kind: 'admin', ...logged }, 'listening')
  return admin
}

/** Undefined where it does not listen on a port. */
export function portOf(admin: Server | undefined): AddressInfo | undefined {
  const address = admin?.address()
  return typeof address === 'object' ? (address ?? undefined) : undefined
}
