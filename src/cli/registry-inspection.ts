/** Shows which rule of a registry realm grants or denies what, for a certificate or a user. */
import { isIP } from 'node:net'
import type { Config, LoadedConfig, RegistryRealmConfig } from '../config/index.ts'
import { ConfigError, describeProblem, GatewayError } from '../errors.ts'
import { createUsers } from '../identity/users.ts'
import { TAG } from '../registry/request.ts'
import { actionsAsked, type Reason, type Subject } from '../registry/rights.ts'
import { parseScope, type Resource, scopeText } from '../registry/scope.ts'
import { Mappers } from '../runtime/mappers.ts'
import { Materials } from '../runtime/materials.ts'
import { Plugins } from '../runtime/plugins.ts'
import { rightsOf, robotOf } from '../runtime/registry.ts'
import { UsersFiles } from '../runtime/users/files.ts'
import type { VerifyOptions } from '../tls-cert-utils/verify.ts'
import type { Connection, User, Users } from '../types.ts'
import { CommandError } from './command-error.ts'
import { connectionsTo } from './inspection.ts'

export interface RegistryRights {
  readonly realm: string
  /** Where the certificate would be shown, as `0.0.0.0:8443 registry.example.com`; undefined for a user by name. */
  readonly server: string | undefined
  readonly user: string | undefined
  readonly groups: readonly string[]
  /** How the certificate was mapped to its user, or why it has none. */
  readonly found_by: string | undefined
  readonly actions: readonly Reason[]
}

/** What rights may depend on besides who asks for what. */
export interface Circumstances {
  /** Undefined for a token, which cannot name a tag. */
  readonly tag: string | undefined
  /** The caller's address; undefined for one that no rule could name. */
  readonly address: string | undefined
}

type Asker = { readonly sent: VerifyOptions['sent'] } | { readonly user: string }

/** Somebody with rights: a user by name, or a certificate at one of the servers. */
interface Candidate {
  readonly server: string | undefined
  readonly user: User | undefined
  readonly found_by: string | undefined
  readonly connection: Connection | undefined
}

export async function registryRights(
  loaded: LoadedConfig,
  asker: Asker,
  scope: string,
  circumstances: Circumstances,
): Promise<RegistryRights[]> {
  assertSound(circumstances)
  const resource = parseScope(scope)
  if (!resource)
    throw new CommandError(
      `${scope} is neither a request, such as 'GET https://api.example.com/orders', nor a scope, such as repository:team/app:pull,push`,
    )
  if (!loaded.config) throw unusable(loaded, loaded.problems)
  const { config } = loaded
  if (config.registry_realms.length === 0) throw new CommandError('the configuration has no registry_realms')
  const users = createUsers(config.consumers, config.disabled_consumers)
  const materials = new Materials(loaded.locate)
  const certificates = 'sent' in asker ? await candidatesOf(loaded, config, users, asker.sent, materials) : undefined
  const found: RegistryRights[] = []
  for (const realm of config.registry_realms) {
    const candidates = certificates ?? [named('user' in asker ? asker.user : '', realm, users)]
    for (const candidate of candidates)
      found.push(await judged(realm, unlessRobot(candidate, realm, users), { resource, ...circumstances }, materials))
  }
  if (materials.problems.length > 0) throw unusable(loaded, materials.problems)
  return found
}

function assertSound({ tag, address }: Circumstances): void {
  if (tag !== undefined && !TAG.test(tag)) throw new CommandError(`--tag ${tag} is no tag; expected one such as v1.2`)
  if (address !== undefined && isIP(address) === 0) {
    throw new CommandError(`--address ${address} is no IP address; expected one such as 192.0.2.1`)
  }
}

function unusable(loaded: LoadedConfig, problems: ConfigError['problems']): CommandError {
  const lines = problems.map((problem) => `  ${describeProblem(problem)}`)
  return new CommandError(`${loaded.file ?? 'the environment'} cannot be used:\n${lines.join('\n')}`)
}

function named(name: string, realm: RegistryRealmConfig, users: Users): Candidate {
  const robot = realm.robots.find((each) => each.name === name)
  if (!robot && users.isDisabled(name))
    throw new CommandError(`${name} is not enabled, so that nothing lets this user in`)
  const user = robot ? robotOf(robot).user : users.byName(name)
  // Users whom only certificates or plugins name have rights too; their groups are not known here.
  const unlisted = Object.freeze({ id: name, name, groups: Object.freeze([]), customId: undefined })
  const found_by = user ? undefined : 'neither a consumer nor a robot of this realm: judged without groups'
  return { server: undefined, user: user ?? unlisted, found_by, connection: undefined }
}

/** Robots have a secret, whatever a certificate says. */
function unlessRobot(candidate: Candidate, { robots }: RegistryRealmConfig, users: Users): Candidate {
  const { user, connection } = candidate
  if (!connection || !user || users.byName(user.name) || robots.every(({ name }) => name !== user.name))
    return candidate
  const found_by = `${user.name} is a robot, which has a secret`
  return { ...candidate, user: undefined, found_by, connection: undefined }
}

async function candidatesOf(
  loaded: LoadedConfig,
  config: Config,
  users: Users,
  sent: VerifyOptions['sent'],
  materials: Materials,
): Promise<Candidate[]> {
  const plugins = new Plugins(config.docker_plugins, users)
  const mappers = new Mappers(config, users, plugins, materials, new UsersFiles())
  const connections = connectionsOf(loaded, config, sent)
  for (const { server } of connections) mappers.of(server)
  await mappers.ready()
  return Promise.all(
    connections.map(async ({ listen, server, connection }) => {
      const names = server.server_names.join(' ')
      const place = names === '' ? listen : `${listen} ${names}`
      if (connection.verification.result !== 'SUCCESS') {
        return { server: place, user: undefined, found_by: 'the certificate is not verified here', connection }
      }
      const mapping = await mappers.of(server)?.map(sent[0], connection)
      const user = mapping?.status === 'mapped' ? mapping.user : undefined
      return { server: place, user, found_by: mapping?.reason ?? 'nothing here says whose it is', connection }
    }),
  )
}

function connectionsOf(loaded: LoadedConfig, config: Config, sent: VerifyOptions['sent']) {
  try {
    return connectionsTo(config, sent, loaded.locate)
  } catch (error) {
    if (error instanceof ConfigError) throw unusable(loaded, error.problems)
    throw error
  }
}

async function judged(
  realm: RegistryRealmConfig,
  { server, user, found_by, connection }: Candidate,
  { resource, tag, address }: Circumstances & { readonly resource: Resource },
  materials: Materials,
): Promise<RegistryRights> {
  const subject: Subject = {
    user,
    certificate: connection?.verification.result === 'SUCCESS' ? connection.certificate : undefined,
    address: address ?? connection?.remoteAddress ?? '',
    service: realm.services[0] ?? '',
  }
  const about = { realm: realm.name, server, user: user?.name, groups: user?.groups ?? [], found_by }
  try {
    const { reasons } = await rightsOf(realm, materials).judge(subject, resource, tag)
    return { ...about, actions: reasons }
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error
    const actions = actionsAsked(resource).map((action) => ({ action, granted: false, rule: error.detail }))
    return { ...about, actions }
  }
}

export function rightsReport(found: readonly RegistryRights[], scope: string, { tag }: Circumstances): string[] {
  return found.flatMap(({ realm, server, user, groups, found_by, actions }, i) => {
    const who = user === undefined ? 'nobody known' : `${user}${groups.length > 0 ? ` (${groups.join(', ')})` : ''}`
    return [
      ...(i === 0 ? [] : ['']),
      `realm ${realm}${server === undefined ? '' : `, at ${server}`}: ${who}`,
      ...(found_by === undefined ? [] : [`  ${found_by}`]),
      ...actions.map(({ action, granted, rule }) => {
        const by = rule === undefined ? 'no rule speaks of it' : `by ${rule}`
        return `  ${action.padEnd(8)}${granted ? 'granted' : 'refused'}, ${by}`
      }),
      tag === undefined
        ? `  a token ${tokenText(scope, actions)}`
        : `  at a gate, for the tag ${tag}: a token cannot say it`,
    ]
  })
}

function tokenText(scope: string, actions: readonly Reason[]): string {
  const granted = actions.filter((each) => each.granted).map(({ action }) => action)
  const resource = parseScope(scope)
  return resource && granted.length > 0
    ? `would say ${scopeText({ ...resource, actions: granted })}`
    : 'would say nothing of it'
}
