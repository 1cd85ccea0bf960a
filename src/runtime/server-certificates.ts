/** The certificates that servers show, from the settings of a server or from Kong's `certificates` and `snis`. */
import { createHash } from 'node:crypto'
import type { CertificateConfig, PemSource, ServerConfig } from '../config/index.ts'
import { ServerNames } from '../routing/server-names.ts'
import type { Slices } from '../slices.ts'
import type { KeyPair } from '../tls-cert-utils/key-pair.ts'
import type { Materials, PairSettings } from './materials.ts'

/** At most one certificate for each type of key. */
export type KeyPairs = readonly KeyPair[]

/** Kong's `certificates` and `snis`: the certificates for server names whose server has none of its own. */
export interface CertificatesByName {
  /** Returns the same list for the same certificate, whichever name it was found by. */
  find(name: string | undefined): KeyPairs
  readonly digest: string
}

const NONE: KeyPairs = Object.freeze([])

export function* certificatesByName(
  certificates: readonly CertificateConfig[],
  materials: Materials,
): Slices<CertificatesByName> {
  const entries: [string, { pairs: KeyPairs }][] = []
  const hash = createHash('sha256')
  let fallback: KeyPairs | undefined
  for (const certificate of certificates) {
    yield
    const pairs = pairsOfCertificate(certificate, materials)
    if (pairs.length === 0) continue
    for (const sni of certificate.snis) {
      hash.update(JSON.stringify([sni, fingerprintsOf(pairs)]))
      if (sni === '*') fallback = pairs
      else entries.push([sni, { pairs }])
    }
  }
  const names = yield* ServerNames.of(entries, { pairs: fallback ?? entries[0]?.[1].pairs ?? NONE })
  return { digest: hash.digest('hex'), find: (name) => names.find(name).pairs }
}

export function fingerprintsOf(pairs: KeyPairs): string[] {
  return pairs.map(({ chainFingerprint }) => chainFingerprint)
}

/** The certificates of the server's own settings. */
export function pairsOfServer(config: ServerConfig, materials: Materials): KeyPairs {
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

function pairsOfCertificate(certificate: CertificateConfig, materials: Materials): KeyPairs {
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

/** OpenSSL keeps one certificate for each type of key: of two with the same type, the first would silently never be shown. */
function differentTypes(
  sources: readonly { readonly cert: PemSource; readonly key: PemSource }[],
  shared: Omit<PairSettings, 'cert' | 'key'>,
  materials: Materials,
): KeyPairs {
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
