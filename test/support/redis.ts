/** A real Redis without persistence, which a test can stop and start again on the same port. */
import { startChild } from './children.ts'
import { temporaryFile, temporaryFolder } from './folder.ts'
import { freePort } from './free-port.ts'
import { findCommand } from './peers.ts'
import type { Issued } from './pki.ts'
import { waitFor } from './wait.ts'

export const REDIS_PEERS = ['redis-server']

export interface RedisServer {
  readonly url: string
  start(): Promise<void>
  /** At once, as a machine that loses power. */
  stop(): Promise<void>
  /** It takes connections and commands, and answers none until `wake`. */
  hang(): void
  wake(): void
}

/** @param tls its certificate: it then takes no other connections */
export async function startRedis(tls?: Issued): Promise<RedisServer> {
  const port = await freePort()
  const program = findCommand('redis-server') ?? 'redis-server'
  const begin = async () => {
    const args = [...ports(port, tls), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no']
    const child = startChild(program, [...args, '--dir', temporaryFolder()])
    await waitFor('Redis to accept connections', () => {
      if (!child.running) throw new Error(`redis-server ended: ${child.stdout}`)
      return child.stdout.includes('Ready to accept connections')
    })
    return child
  }
  let child = await begin()
  return {
    url: `${tls ? 'rediss' : 'redis'}://127.0.0.1:${port}`,
    async start() {
      child = await begin()
    },
    async stop() {
      await child.stop('SIGKILL')
    },
    hang: () => void child.process.kill('SIGSTOP'),
    wake: () => void child.process.kill('SIGCONT'),
  }
}

function ports(port: number, tls: Issued | undefined): string[] {
  if (!tls) return ['--port', `${port}`]
  const files = [
    '--tls-cert-file',
    temporaryFile('redis.pem', tls.chain),
    '--tls-key-file',
    temporaryFile('redis.key', tls.key),
  ]
  return ['--port', '0', '--tls-port', `${port}`, '--tls-auth-clients', 'no', ...files]
}
