import type { Slices } from '../../slices.ts'
import {
  type CaCertificateConfig,
  type CertificateConfig,
  checkCertificate,
  type WrittenCertificate,
  type WrittenSni,
} from '../schema/certificates.ts'
import type { Written } from '../schema/config.ts'
import type { Located } from '../schema/field.ts'
import { located, nameOf, passes, type ResolveContext } from './context.ts'
import { EntityIndex } from './entity-index.ts'

export function* resolveCertificates(
  written: Written,
  context: ResolveContext,
): Slices<EntityIndex<CertificateConfig>> {
  const entities = new EntityIndex<CertificateConfig>('certificates', context.report)
  const names = new EntityIndex<string>('snis', context.report)
  const snis = new Map<CertificateConfig, string[]>()
  const serve = (sni: WrittenSni, certificate: CertificateConfig | undefined) => {
    names.add(sni, sni.name)
    if (certificate && sni.name !== undefined) snis.get(certificate)?.push(sni.name)
  }
  for (const entity of located<WrittenCertificate>(written.certificates)) {
    const { at, id, cert, key, cert_alt, key_alt, passphrase } = entity
    const own: string[] = []
    const certificate = { at, id, name: nameOf(entity), cert, key, cert_alt, key_alt, passphrase, snis: own }
    snis.set(certificate, own)
    const usable = passes(entity, checkCertificate, context) ? certificate : undefined
    entities.add(entity, usable)
    for (const sni of located<WrittenSni>(entity.snis)) serve(sni, usable)
    yield
  }
  for (const sni of located<WrittenSni>(written.snis)) {
    const certificate =
      sni.certificate === undefined ? undefined : entities.find(sni.certificate, `${sni.at}.certificate`, 'certificate')
    serve(sni, certificate)
  }
  return entities
}

export function resolveAuthorities(written: Written, context: ResolveContext): EntityIndex<CaCertificateConfig> {
  const entities = new EntityIndex<CaCertificateConfig>('ca_certificates', context.report)
  for (const entity of located<Written['ca_certificates'][number] & Located>(written.ca_certificates)) {
    const { at, id, cert } = entity
    entities.add(entity, context.broken.has(entity) ? undefined : { at, id, name: nameOf(entity), cert })
  }
  return entities
}
