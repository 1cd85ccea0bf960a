/** Turns the written consumers into users, and gathers their groups and credentials from wherever they are written. */
import type { Config, Written } from '../schema/config.ts'
import { type ConsumerConfig, checkConsumer, type WrittenConsumer } from '../schema/consumers.ts'
import type { Located } from '../schema/field.ts'
import { located, passes, type ResolveContext } from './context.ts'
import { EntityIndex } from './entity-index.ts'

const CREDENTIALS = [
  'mtls_auth_credentials',
  'basicauth_credentials',
  'keyauth_credentials',
  'totp_credentials',
  'application_credentials',
] as const

type Lists = { -readonly [K in (typeof CREDENTIALS)[number]]: ConsumerConfig[K][number][] } & { groups: string[] }
type WrittenCredential = Owned<Record<string, unknown>>
type Owned<T> = T & Located & { readonly id?: string | undefined; readonly consumer?: string }

export function resolveConsumers(
  written: Written,
  context: ResolveContext,
): Pick<Config, 'consumers' | 'disabled_consumers'> {
  const entities = new EntityIndex<Lists>('consumers', context.report, 'username')
  const consumers: ConsumerConfig[] = []
  const disabled_consumers: Config['disabled_consumers'][number][] = []
  const customIds = new EntityIndex<true>('consumers', context.report, 'custom_id')
  for (const entity of located<WrittenConsumer>(written.consumers)) {
    const sound = passes(entity, checkConsumer, context)
    const lists = ownLists(entity)
    // Without a username the custom_id is the name, and references use it.
    entities.add({ at: entity.at, id: entity.id, username: entity.username ?? entity.custom_id }, lists)
    if (entity.custom_id !== undefined) customIds.add({ at: entity.at, custom_id: entity.custom_id }, true)
    if (!sound) continue
    const name = entity.username ?? entity.custom_id ?? ''
    const { at, id = name, custom_id, domain, default_project } = entity
    if (!entity.enabled) {
      disabled_consumers.push({ id, name })
      continue
    }
    const multi_factor_auth_rules = entity.multi_factor_auth_enabled ? entity.multi_factor_auth_rules : []
    consumers.push({ at, id, name, custom_id, domain, default_project, multi_factor_auth_rules, ...lists })
  }
  addFromTopLevel(written, entities, context)
  reportSharedCredentials(consumers, context)
  if (written._transform === false) reportKongsHashes(consumers, context)
  return {
    consumers: consumers.map((consumer) => ({ ...consumer, groups: [...new Set(consumer.groups)] })),
    disabled_consumers,
  }
}

function ownLists(entity: WrittenConsumer): Lists {
  const groups = [...(entity.groups ?? []), ...(entity.acls ?? []).flatMap(({ group }) => (group ? [group] : []))]
  const lists: Record<string, unknown[]> = { groups }
  for (const kind of CREDENTIALS) lists[kind] = located<WrittenCredential>(entity[kind] ?? []).map(credentialOf)
  return lists as Lists
}

/** A credential without its unused fields. */
function credentialOf(written: WrittenCredential): object {
  const { at, id, name, subject_name, ca_certificate, username, password, key, secret, expires_at, project } = written
  return { at, id, name, subject_name, ca_certificate, username, password, key, secret, expires_at, project }
}

function addFromTopLevel(written: Written, entities: EntityIndex<Lists>, context: ResolveContext): void {
  const ownerOf = ({ at, consumer }: Owned<object>) =>
    consumer === undefined ? undefined : entities.find(consumer, `${at}.consumer`, 'consumer')
  for (const kind of CREDENTIALS) {
    for (const entity of located<WrittenCredential>(written[kind])) {
      ;(ownerOf(entity)?.[kind] as object[] | undefined)?.push(credentialOf(entity))
    }
  }
  for (const acl of located<Owned<{ group?: string }>>(written.acls)) {
    if (acl.group !== undefined) ownerOf(acl)?.groups.push(acl.group)
  }
  const groups = new EntityIndex<string>('consumer_groups', context.report)
  for (const group of located<Owned<{ name: string }>>(written.consumer_groups)) groups.add(group, group.name)
  for (const member of located<Owned<{ consumer_group: string }>>(written.consumer_group_consumers)) {
    if (context.broken.has(member)) continue
    const group = groups.find(member.consumer_group, `${member.at}.consumer_group`, 'consumer_group')
    if (group !== undefined) ownerOf(member)?.groups.push(group)
  }
}

/**
 * Kong exports its own hashes (SHA-1). Taken as plain text, each would be a password that anybody can read. All hashes that are supported here begin
 * with `$`.
 */
function reportKongsHashes(consumers: readonly ConsumerConfig[], context: ResolveContext): void {
  const message =
    'is Kong\'s own hash, as _transform is false, and would be the password itself here; write what "sallyport hash" makes of the password'
  for (const { at, password } of consumers.flatMap(({ basicauth_credentials }) => basicauth_credentials))
    if (password && !password.reveal().startsWith('$')) context.report({ path: `${at}.password`, message })
}

/** Reports two users with the same log-in name, or the same key in any spelling: it would be unclear who came. */
function reportSharedCredentials(consumers: readonly ConsumerConfig[], context: ResolveContext): void {
  const logins = new Map<string, string>()
  const keys = new Map<string, string>()
  const programs = new EntityIndex<true>('application_credentials', context.report)
  for (const { basicauth_credentials, keyauth_credentials, application_credentials } of consumers) {
    for (const { at, id } of application_credentials) {
      if (id === undefined) context.report({ path: at, message: 'has no id, which is what its program logs in with' })
      else programs.add({ at, id }, true)
    }
    for (const { at, username } of basicauth_credentials) {
      const other = logins.get(username)
      if (other !== undefined) context.report({ path: `${at}.username`, message: `stands at ${other} too; keep one` })
      logins.set(username, at)
    }
    for (const { at, key } of keyauth_credentials) {
      const other = key && keys.get(key.reveal())
      if (other !== undefined) context.report({ path: `${at}.key`, message: `stands at ${other} too; keep one` })
      if (key) keys.set(key.reveal(), at)
    }
  }
}

/** Reports default consumers of services and routes that do not exist. */
export function checkDefaultConsumers(
  { services, routes }: Written,
  consumers: readonly ConsumerConfig[],
  context: ResolveContext,
): void {
  const places = [...services, ...services.flatMap((service) => service.routes ?? []), ...routes]
  for (const { at, default_consumer: wanted } of located<Located & { default_consumer?: string }>(places)) {
    if (wanted === undefined || consumers.some(({ id, name }) => id === wanted || name === wanted)) continue
    const names = consumers.slice(0, 20).map(({ name }) => name)
    const known = names.length === 0 ? 'none is declared' : `known: ${names.join(', ')}`
    const message = `names no consumer that is there and enabled; ${known}`
    context.report({ path: `${at}.default_consumer`, message })
  }
}
