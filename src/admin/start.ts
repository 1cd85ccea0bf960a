import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
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
  { listen }: { readonly listen: 'off' | { readonly host: string; readonly port: number } },
  { metrics, ready, log }: AdminStart,
): Promise<Server | undefined> {
  if (listen === 'off') return undefined
  const { host, port } = listen
  const admin = createAdminServer({
    metrics,
    ready,
    failed: (err) => log.error({ err }, 'the admin failed to answer'),
  })
  await new Promise<void>((resolve, reject) => {
    admin.once('error', (error) => reject(listenProblem('admin.listen', `${host}:${port}`, error)))
    // In a worker's supervisor or alone: never shared between processes.
    admin.listen({ host, port, exclusive: true }, resolve)
  })
  const address = admin.address() as AddressInfo
  log.info({ kind: 'admin', address: address.address, port: address.port }, 'listening')
  return admin
}
