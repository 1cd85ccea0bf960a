/** The certificates that servers show, from the settings of a server or from Kong's `certificates` and `snis`. */
import type { CertificateConfig, PemSource, ServerConfig } from '../config/index.ts'
import { ServerNames } from '../routing/server-names.ts'
import type { Slices } from '../slices.ts'
import type { KeyPair } from '../tls-cert-utils/key-pair.ts'
import type { ReadCertificates } from './kept.ts'
import type { Materials, PairSettings } from './materials.ts'
import type { OcspAnswers } from './revocation/ocsp.ts'

/** Kong's `certificates` and `snis`: the certificates for server names whose server has none of its own. */
export interface CertificatesByName {
  find(name: string | undefined): ReadCertificates
  /** `*` among them, which no server is called: it stands for all others. */
  readonly names: readonly string[]
  /** Where they are configured; of several settings with the same, the first. */
  settingOf(certificates: ReadCertificates): string
}

/** Whether OpenSSL may refuse to show them with these ciphers. To ask it takes as long as a handshake, and there may be ten thousand. */
export function areDoubtful({ pairs }: ReadCertificates, ciphers: string): boolean {
  return HIGH_LEVEL.test(ciphers) || pairs.some((pair) => pair.isDoubtful)
}

/** Above OpenSSL's own level, which is 2. */
const HIGH_LEVEL = /@SECLEVEL=[3-9]/

/** Of whom no certificate is configured, or none that can be used. */
const NONE: ReadCertificates = Object.freeze({ pairs: [], stapleFor: undefined })

export function* certificatesByName(
  certificates: readonly CertificateConfig[],
  materials: Materials,
): Slices<CertificatesByName> {
  const entries: [string, ReadCertificates][] = []
  const settings = new Map<ReadCertificates, string>()
  let fallback: ReadCertificates | undefined
  for (const certificate of certificates) {
    yield
    const pairs = pairsOfCertificate(certificate, materials)
    if (pairs.length === 0) continue
    const certificates = materials.serverCertificates(pairs)
    if (!settings.has(certificates)) settings.set(certificates, certificate.cert.setting)
    for (const sni of certificate.snis) {
      if (sni === '*') fallback = certificates
      else entries.push([sni, certificates])
    }
  }
  const names = yield* ServerNames.of(entries, fallback ?? entries[0]?.[1] ?? NONE)
  return {
    find: (name) => names.find(name),
    names: certificates.flatMap(({ snis }) => snis),
    settingOf: (shown) => settings.get(shown) ?? 'certificates',
  }
}

/** The certificates of the server's own settings. */
export function certificatesOfServer(config: ServerConfig, materials: Materials, ocsp: OcspAnswers): ReadCertificates {
  const pairs = pairsOfServer(config, materials)
  if (pairs.length === 0) return NONE
  const staples = ocsp.staplesOf(config, pairs, materials)
  if (staples.length === 0) return materials.serverCertificates(pairs)
  const settings = [config.ssl_stapling_responder, config.ssl_ocsp_timeout]
  return materials.serverCertificates(pairs, { settings, stapleFor: stapleFor(staples) })
}

/** node:tls tells which certificate it is about to show. */
function stapleFor(staples: ReturnType<OcspAnswers['staplesOf']>): ReadCertificates['stapleFor'] {
  const byCertificate = new Map(staples.map(([der, staple]) => [latin1(der), staple] as const))
  return (certificate) => byCertificate.get(latin1(certificate))?.current()
}

function latin1(bytes: Buffer): string {
  return bytes.toString('latin1')
}

function pairsOfServer(config: ServerConfig, materials: Materials): KeyPair[] {
  const { ssl_certificate: certificates = [], ssl_certificate_key: keys = [], ssl_passwords: passphrases } = config
  const passphraseSetting = 'ssl_password or ssl_password_file (SALLYPORT_SSL_PASSWORD)'
  const shared = { role: 'server', name: config.server_names[0] ?? '_', passphrases, passphraseSetting } as const
  return differentTypes(
    certificates.flatMap((cert, i) => {
      const key = keys[i]
      return key ? [{ cert, key }] : []
    }),
    shared,
    materials,
  )
}

function pairsOfCertificate(certificate: CertificateConfig, materials: Materials): KeyPair[] {
  const { at, name, snis, cert, key, cert_alt, key_alt, passphrase } = certificate
  // Without a name no server shows it.
  const role = snis.length > 0 ? 'server' : 'none'
  const shared = {
    role,
    name,
    passphrases: passphrase ? [passphrase] : [],
    passphraseSetting: `${at}.passphrase`,
  } as const
  const alternative = cert_alt && key_alt ? [{ cert: cert_alt, key: key_alt }] : []
  return differentTypes([{ cert, key }, ...alternative], shared, materials)
}

/** At most one certificate for each type of key. OpenSSL keeps no more: of two with the same type, the first would silently never be shown. */
function differentTypes(
  sources: readonly { readonly cert: PemSource; readonly key: PemSource }[],
  shared: Omit<PairSettings, 'cert' | 'key'>,
  materials: Materials,
): KeyPair[] {
  const types = new Map<string, PemSource>()
  return sources.flatMap(({ cert, key }) => {
    const pair = materials.keyPair({ cert, key, ...shared })
    if (!pair) return []
    const type = pair.leaf.x509.publicKey.asymmetricKeyType ?? 'unknown'
    const other = types.get(type)
    if (other) {
      materials.problem(
        cert.setting,
        `has a key of the same type (${type}) as ${other.setting}: keep one, or get a certificate with a key of another type`,
      )
    }
    types.set(type, cert)
    return [pair]
  })
}
