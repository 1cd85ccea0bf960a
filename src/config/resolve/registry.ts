/** Turns the written realms into those that are used: certificates resolved, docker_auth's file read. */
import { parse } from 'yaml'
import { readBounded } from '../bounded-file.ts'
import { namedFile } from '../pem.ts'
import type { CertificateConfig } from '../schema/certificates.ts'
import type { Written } from '../schema/config.ts'
import { Unfit } from '../schema/field.ts'
import {
  checkRegistryRealm,
  checkRegistryRule,
  checkRobot,
  type RegistryRealmConfig,
  type WrittenRegistryRealm,
} from '../schema/registry-realms.ts'
import type { RegistryGateConfig, WrittenService } from '../schema/services.ts'
import { located, passes, type ResolveContext } from './context.ts'
import { EntityIndex } from './entity-index.ts'

export function resolveRegistryRealms(
  written: Written,
  certificates: EntityIndex<CertificateConfig>,
  context: ResolveContext,
): EntityIndex<RegistryRealmConfig> {
  const realms = new EntityIndex<RegistryRealmConfig>('registry_realms', context.report)
  const services = new Map<string, string>()
  for (const realm of located<WrittenRegistryRealm>(written.registry_realms)) {
    const parts = [
      passes(realm, checkRegistryRealm, context),
      ...(realm.rules ?? []).map((rule) => passes(rule, checkRegistryRule, context)),
      ...(realm.robots ?? []).map((robot) => passes(robot, checkRobot, context)),
    ]
    const sound = parts.every((isSound) => isSound)
    reportRobotsOfOneName(realm, context)
    for (const [i, service] of (realm.services ?? []).entries()) {
      const other = services.get(service)
      services.set(service, realm.name)
      // The plain address /auth/token finds the realm by it.
      if (other === undefined) continue
      context.report({ path: `${realm.at}.services[${i}]`, message: `belongs to the realm ${other} already` })
    }
    realms.add(realm, sound ? resolveRealm(realm, certificates, context) : undefined)
  }
  return realms
}

function reportRobotsOfOneName({ robots = [] }: WrittenRegistryRealm, context: ResolveContext): void {
  const names = new EntityIndex<true>('robots', context.report)
  for (const robot of robots) names.add(robot, true)
}

function resolveRealm(
  realm: WrittenRegistryRealm,
  certificates: EntityIndex<CertificateConfig>,
  context: ResolveContext,
): RegistryRealmConfig | undefined {
  const { certificate: reference, previous_certificates: previous, acl_file: file, issuer, ...rest } = realm
  const certificate = certificates.find(reference, `${realm.at}.certificate`, 'certificate')
  const earlier = previous.flatMap((each, i) => {
    const found = certificates.find(each, `${realm.at}.previous_certificates[${i}]`, 'certificate')
    return found ? [found] : []
  })
  const acl = file === undefined ? undefined : readAcl(file, `${realm.at}.acl_file`, context)
  if (!certificate) return undefined
  return { ...rest, certificate, previous_certificates: earlier, issuer: issuer ?? realm.name, acl }
}

/** The gate of a service that is a registry; undefined for any other, or where the realm is unknown. */
export function resolveRegistryGate(
  { at, registry }: WrittenService,
  realms: EntityIndex<RegistryRealmConfig>,
  context: ResolveContext,
): RegistryGateConfig | undefined {
  if (!registry || context.broken.has(registry)) return undefined
  const realm = realms.find(registry.realm, `${at}.registry.realm`, 'realm')
  if (!realm) return undefined
  if (!realm.services.includes(registry.service)) {
    const message = `is no service of the realm ${realm.name}; it has ${realm.services.join(', ')}`
    context.report({ path: `${at}.registry.service`, message })
  }
  return { ...registry, realm }
}

/** docker_auth's file holds more than the acl; the rest is ignored. */
function readAcl(written: string, path: string, context: ResolveContext): readonly unknown[] | undefined {
  try {
    const file = namedFile(written, context.pems)
    const content: unknown = parseYaml(readBounded(file).toString('utf8'), file)
    const acl = typeof content === 'object' && content !== null && 'acl' in content ? content.acl : undefined
    if (!Array.isArray(acl)) throw new Unfit(`names ${file}, which holds no list under acl`)
    return acl
  } catch (error) {
    if (!(error instanceof Unfit)) throw error
    context.report({ path, message: error.message })
    return undefined
  }
}

function parseYaml(text: string, file: string): unknown {
  try {
    return parse(text, { maxAliasCount: 100, logLevel: 'error' })
  } catch {
    throw new Unfit(`names ${file}, which is no valid YAML`)
  }
}
