/** The worker's side: a Server that does what its supervisor says. */
import cluster, { type Worker as Self } from 'node:cluster'
import { loadConfig } from '../config/index.ts'
import { ConfigError } from '../errors.ts'
import { Intermediates } from '../listener/intermediates.ts'
import { createLog } from '../log/log.ts'
import { FetchedStatements } from '../runtime/revocation/fetched-statements.ts'
import { Server } from '../server/server.ts'
import { readCertificate } from '../tls-cert-utils/certificate.ts'
import { NO_METRICS } from './gathered-metrics.ts'
import type { FromWorker, ToWorker } from './messages.ts'
import { SupervisorStore } from './supervisor-store.ts'

type Start = Extract<ToWorker, { kind: 'start' }>

/** Whether this process was started by a supervisor. */
export function isWorker(): boolean {
  return cluster.isWorker
}

/** Carries out the supervisor's messages for as long as the process lives. node:cluster ends it when its supervisor is gone. */
export function serveAsWorker(): void {
  const self = cluster.worker as Self
  const say = (message: FromWorker, then?: () => void) => self.send(message, then)
  const common = knowledgeOf(say)
  let server: Server | undefined
  let stopping = false

  const stop = async (): Promise<void> => {
    if (stopping) return
    stopping = true
    const finished = (await server?.stop()) ?? true
    const metrics = (await server?.snapshot()) ?? NO_METRICS
    process.exitCode = finished ? 0 : 1
    say({ kind: 'ended', finished, metrics })
  }
  const carryOut = async (order: ToWorker): Promise<void> => {
    if (order.kind === 'stored') common.memory.answered(order)
    else if (order.kind === 'start') server = await start(order, common, say)
    else if (order.kind === 'intermediate') common.intermediates.learn(readCertificate(order.der))
    else if (order.kind === 'statement') common.statements.learn(order.edition, order.source, order.statement)
    else if (order.kind === 'stop') await stop()
    // Sent last, so that node:cluster has returned every connection that came too late by the time this process ends.
    else if (order.kind === 'exit') say({ kind: 'gone' }, () => process.exit())
    else if (!server) return
    else if (order.kind === 'metrics') say({ kind: 'metrics', id: order.id, metrics: await server.snapshot() })
    else say({ kind: 'reloaded', id: order.id, accepted: await server.reload(order.reason) })
  }
  process.on('message', (order: ToWorker) => void carryOut(order))
  process.on('SIGTERM', () => void stop())
  // A terminal sends these signals to the whole process group; only the supervisor acts on them.
  for (const signal of ['SIGINT', 'SIGQUIT', 'SIGHUP', 'SIGUSR2'] as const) process.on(signal, () => {})
  // Without a listener, Node would open its debugger to everybody on this machine.
  process.on('SIGUSR1', () => {})
}

type Say = (message: FromWorker) => void

/** What this worker shares with the others. */
interface Common {
  readonly memory: SupervisorStore
  readonly intermediates: Intermediates
  readonly statements: FetchedStatements
}

function knowledgeOf(say: Say): Common {
  const intermediates = new Intermediates()
  intermediates.onNew = ({ raw }) => say({ kind: 'intermediate', der: raw })
  const statements = new FetchedStatements()
  statements.onFetched = (source, statement) => say({ kind: 'fetched', source, statement })
  return { memory: new SupervisorStore(say), intermediates, statements }
}

async function start(order: Start, common: Common, say: Say): Promise<Server | undefined> {
  for (const { der } of order.soFar.intermediates) common.intermediates.learn(readCertificate(der))
  common.statements.begin(order.soFar.edition)
  const { load, folder, workers, startedAt } = order
  enter(folder)
  const ticketSecret = Buffer.from(order.ticketSecret, 'hex')
  const loaded = loadConfig(load)
  const log = createLog({ level: loaded.config?.log.level ?? 'info' }).child({ worker: cluster.worker?.id })
  process.on('uncaughtException', (err) => {
    log.fatal({ err }, 'unforeseen error')
    process.exit(1)
  })
  const server = new Server({
    load,
    log,
    shared: { workers, ticketSecret, startedAt, ...common },
  })
  try {
    await server.start(loaded)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    say({ kind: 'refused', problems: error.problems })
    return undefined
  }
  say({ kind: 'started', addresses: server.addresses.https })
  return server
}

/**
 * The folder of the supervisor by its path, where other files may stand by now: a worker inherits the folder itself, as that of an older release, and
 * cannot even start where that is gone. By then absolute paths may be all that is needed.
 */
function enter(folder: string): void {
  try {
    process.chdir(folder)
  } catch {
    process.chdir('/')
  }
}
