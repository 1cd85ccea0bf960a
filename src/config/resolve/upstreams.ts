import { type TargetAddress, UNIX } from '../schema/addresses.ts'
import type { CertificateConfig } from '../schema/certificates.ts'
import type { Written } from '../schema/config.ts'
import type { TargetConfig, UpstreamConfig, WrittenTarget, WrittenUpstream } from '../schema/upstreams.ts'
import { located, type ResolveContext } from './context.ts'
import { EntityIndex } from './entity-index.ts'

export function resolveUpstreams(
  written: Written,
  certificates: EntityIndex<CertificateConfig>,
  context: ResolveContext,
): EntityIndex<UpstreamConfig> {
  const entities = new EntityIndex<UpstreamConfig>('upstreams', context.report)
  const elsewhere = Map.groupBy(located<WrittenTarget>(written.targets), ({ upstream }) => upstream)
  for (const entity of located<WrittenUpstream>(written.upstreams)) {
    const own = [entity.name, entity.id].flatMap((label) => (label === undefined ? [] : (elsewhere.get(label) ?? [])))
    const targets = resolveTargets([...located<WrittenTarget>(entity.targets), ...own], context)
    const { at, name, algorithm, host_header, client_certificate: reference } = entity
    const client_certificate =
      reference && certificates.find(reference, `${at}.client_certificate`, 'client_certificate')
    const upstream = { at, name, algorithm, host_header, client_certificate: client_certificate || undefined, targets }
    entities.add(entity, context.broken.has(entity) ? undefined : upstream)
  }
  for (const [reference, targets] of elsewhere) {
    if (reference === undefined) continue
    for (const target of targets) entities.find(reference, `${target.at}.upstream`, 'upstream')
  }
  return entities
}

function resolveTargets(targets: readonly WrittenTarget[], context: ResolveContext): TargetConfig[] {
  const entities = new EntityIndex<TargetConfig>('targets', context.report)
  for (const target of targets) {
    if (context.broken.has(target)) continue
    const { at, weight } = target
    const place = placeOf(target.target)
    entities.add({ at, name: place.name }, { at, weight, ...place })
  }
  return entities.values().filter(({ weight }) => weight > 0)
}

/** An API on a Unix socket is called localhost, as in nginx. */
export function placeOf(address: TargetAddress): Pick<TargetConfig, 'name' | 'host' | 'port' | 'socket'> {
  if ('socket' in address)
    return { name: `${UNIX}${address.socket}`, host: 'localhost', port: 0, socket: address.socket }
  const { host, port } = address
  return { name: host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`, host, port, socket: undefined }
}
