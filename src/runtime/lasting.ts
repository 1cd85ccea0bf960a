/** The state that outlives a configuration: made once for a process, and passed to each runtime. */
import { randomBytes } from 'node:crypto'
import { Admitted } from '../auth/admitted.ts'
import { MappedUsers } from '../auth/mapped-users.ts'
import { RemoteKeys } from '../auth/remote-keys.ts'
import { Intermediates } from '../listener/intermediates.ts'
import { PresentedStreams } from '../listener/presented-streams.ts'
import type { Log } from '../log/log.ts'
import type { Metrics } from '../metrics/metrics.ts'
import { limitOfOpenFiles, OpenFiles } from '../process/open-files.ts'
import { Refusals } from '../refusals.ts'
import type { Store } from '../types.ts'
import { Pools } from '../upstream/pools.ts'
import type { Authentication } from './authentication.ts'
import { Demands } from './demands.ts'
import { KeptMaterials } from './kept.ts'
import type { PolicyRegistry } from './policies.ts'
import { FetchedStatements } from './revocation/fetched-statements.ts'
import { ListFetcher } from './revocation/list-fetcher.ts'
import { OcspAnswers } from './revocation/ocsp.ts'
import { RevocationFiles } from './revocation/revocation-files.ts'
import type { StoreInUse } from './store.ts'
import { UsersFiles } from './users/files.ts'

/** Through it sessions, connections and counters survive a reload that does not concern them. */
export interface Lasting extends Shared {
  readonly log: Log
  readonly metrics: Metrics
  readonly openFiles: OpenFiles
  readonly pools: Pools
  readonly revocationFiles: RevocationFiles
  readonly keptMaterials: KeptMaterials
  readonly usersFiles: UsersFiles
  readonly listFetcher: ListFetcher
  readonly ocsp: OcspAnswers
  policies: PolicyRegistry
  readonly demands: Demands
  store: StoreInUse | undefined
  authentication: Authentication | undefined
  readonly forgetPoolMetrics: (() => void)[]
  readonly mappedUsers: MappedUsers
  readonly presentedStreams: PresentedStreams
  readonly remoteKeys: RemoteKeys
  readonly admitted: Admitted
}

/** What the workers of one gateway have in common. */
export interface Shared {
  /** The limits of the whole gateway are divided by it. */
  readonly workers: number
  /** Session ticket keys and token keys are derived from it, so that what one worker issues is valid for all. */
  readonly ticketSecret: Buffer
  /** When the gateway was started, in milliseconds since the epoch. Whatever is renewed periodically is renewed in all workers at the same time. */
  readonly startedAt: number
  /** The intermediate certificates that any of them has verified. */
  readonly intermediates: Intermediates
  /** What the revocation lists say that any of them has fetched. */
  readonly statements: FetchedStatements
  /** The store that all workers share; undefined where a single process has its own. */
  readonly memory?: Store
}

function alone(): Shared {
  return {
    workers: 1,
    ticketSecret: randomBytes(32),
    startedAt: Date.now(),
    intermediates: new Intermediates(),
    statements: new FetchedStatements(),
  }
}

export function createLasting(log: Log, metrics: Metrics, shared?: Shared): Lasting {
  const common = shared ?? alone()
  const openFiles = new OpenFiles(limitOfOpenFiles())
  const keptMaterials = new KeptMaterials()
  return {
    log,
    metrics,
    openFiles,
    pools: createPools(openFiles, log, metrics),
    policies: new Map(),
    demands: new Demands(),
    revocationFiles: new RevocationFiles(),
    keptMaterials,
    usersFiles: new UsersFiles(),
    listFetcher: new ListFetcher(log, metrics, common.statements),
    ocsp: new OcspAnswers(log, keptMaterials),
    forgetPoolMetrics: [],
    mappedUsers: new MappedUsers((found) => log.debug({ ...found }, 'user found by certificate')),
    presentedStreams: new PresentedStreams(({ id, remoteAddress, remotePort, certificate }, reason) => {
      const peer = { connection_id: id, remote_addr: remoteAddress, remote_port: remotePort }
      log.info({ ...peer, subject: certificate?.subject, reason }, 'connection ended')
    }),
    remoteKeys: new RemoteKeys(),
    admitted: new Admitted(),
    ...common,
    store: undefined,
    authentication: undefined,
  }
}

function createPools({ upstreams }: OpenFiles, log: Log, metrics: Metrics): Pools {
  const refusals = new Refusals<string>(({ reason, count, last }) => {
    metrics.upstreamConnectionsRefused(reason, count)
    log.warn({ reason, count, target: last }, 'connections to upstreams refused')
  })
  return new Pools(
    upstreams,
    (reason, origin) => refusals.note(reason, origin),
    (name, reason) => {
      if (reason === undefined) log.info({ name }, 'the name of an upstream is found again')
      else log.warn({ name, reason }, 'the name of an upstream is not found: its last addresses are used')
    },
    (target, reason) => {
      if (reason === undefined) log.info({ target }, 'a target of an upstream answers again')
      else
        log.warn({ target, reason }, 'a target of an upstream cannot be reached: others are asked where there are any')
    },
  )
}
