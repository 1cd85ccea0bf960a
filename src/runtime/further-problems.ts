import type { LoadedConfig, ServerConfig } from '../config/index.ts'
import type { Problem } from '../errors.ts'
import { createUsers } from '../identity/users.ts'
import { atOnce } from '../slices.ts'
import type { AnswerHeaders } from '../types.ts'
import { Pools } from '../upstream/pools.ts'
import { mappedEntries, passwordEntries, programEntries, totpSecrets } from './credentials.ts'
import type { Lasting } from './lasting.ts'
import { Mappers } from './mappers.ts'
import { Materials } from './materials.ts'
import { Plugins } from './plugins.ts'
import { prepareServers } from './policies.ts'
import { UpstreamRevocations } from './revocation/upstream-revocation.ts'
import { buildService, ownPair } from './services.ts'

/** Checks keys, certificates and credentials also where the configuration has other problems, so that people can mend everything at once. */
export function furtherProblems(loaded: LoadedConfig & { config: undefined }, lasting: Lasting): readonly Problem[] {
  const { incomplete } = loaded
  const materials = new Materials(loaded.locate, lasting.revocationFiles, lasting.keptMaterials)
  if (!incomplete) return []
  const known = new Set(loaded.problems.map(({ path }) => path))
  // A mode that is misspelt was read as off, and then authorities and lists would not be looked at.
  const asking = (server: ServerConfig): ServerConfig =>
    known.has(loaded.locate(`${server.at}.ssl_verify_client`).path) ? { ...server, ssl_verify_client: 'on' } : server
  const users = createUsers(incomplete.consumers, incomplete.disabled_consumers)
  const plugins = new Plugins(incomplete.docker_plugins, users)
  const mappers = new Mappers(incomplete, users, plugins, materials, lasting.usersFiles)
  const revocations = new UpstreamRevocations(incomplete, materials, lasting.log)
  const attempts = [
    () => ownPair(incomplete, materials),
    () => passwordEntries(incomplete, users, materials),
    () => mappedEntries(incomplete, materials),
    () => totpSecrets(incomplete, materials),
    () => programEntries(incomplete, users, materials),
    ...incomplete.services.map((service) => () => {
      buildService(service, {
        config: incomplete,
        materials,
        revocations,
        pools: new Pools(lasting.openFiles.upstreams),
        workers: lasting.workers,
        used: new Set(),
        answerHeaders: NO_HEADERS,
        builtins: { realms: [], log: lasting.log, identity: undefined },
      })
    }),
    ...incomplete.listeners.map((listener) => () => {
      const asked = { ...listener, servers: listener.servers.map(asking) }
      atOnce(prepareServers(asked, incomplete.certificates, materials, { ...lasting, mappers }, new Map()))
    }),
  ]
  for (const attempt of attempts) {
    try {
      attempt()
    } catch {
      // What is missing has been reported already.
    }
  }
  return materials.problems.filter(({ path }) => !known.has(path))
}

const NO_HEADERS: AnswerHeaders = { lines: () => undefined, forward: () => [], trailers: () => [] }
