/** Finds keys and cipher suites with which handshakes can only fail, so that a start can warn of them before clients notice. */
import type { KeyObject } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import type { ServerConfig } from '../../config/index.ts'
import type { CertificateFacts } from '../../tls-cert-utils/certificate.ts'

/** Those with a signature scheme of TLS 1.3 (RFC 8446 4.2.3, RFC 8734). */
const CURVES: ReadonlySet<string> = new Set([
  ...['prime256v1', 'secp384r1', 'secp521r1'],
  ...['brainpoolP256r1', 'brainpoolP384r1', 'brainpoolP512r1'],
])

const ANOTHER_KEY = 'have a certificate issued for an RSA key, or for an EC key on P-256'

/** A key that hardly any peer takes, as a sentence. */
export function unusualKey({ subject, x509: { publicKey } }: CertificateFacts): string | undefined {
  const { namedCurve, hashAlgorithm = 'sha256' } = publicKey.asymmetricKeyDetails ?? {}
  if (publicKey.asymmetricKeyType === 'dsa')
    return `${subject} has a DSA key, with which no handshake succeeds; ${ANOTHER_KEY}`
  if (publicKey.asymmetricKeyType === 'rsa-pss' && !/^sha(256|384|512)$/.test(hashAlgorithm))
    return `the RSA-PSS key of ${subject} is for ${hashAlgorithm} alone, with which no handshake succeeds; ${ANOTHER_KEY}`
  if (namedCurve === undefined || CURVES.has(namedCurve)) return undefined
  return `${subject} has a key on the curve ${namedCurve}: TLS 1.3 has no signature for it, and in TLS 1.2 it is only for peers that ask for this curve, as hardly any does; ${ANOTHER_KEY}`
}

/** Suites without which no key is of use (anonymous, shared secrets), and those that need parameters which node:tls does not have. */
const OF_NO_USE = '!aNULL:!PSK:!SRP:!kDHE'
const WITHOUT_OTHERS: Readonly<Record<string, string>> = {
  rsa: '!aECDSA',
  'rsa-pss': '!aECDSA:!kRSA',
  ec: '!aRSA',
  ed25519: '!aRSA',
  ed448: '!aRSA',
}

/** To ask OpenSSL takes half a millisecond, and there may be ten thousand servers. */
const answers = new Map<string, boolean>()

function hasSuiteFor(ciphers: string, type: KeyObject['asymmetricKeyType']): boolean {
  const list = [ciphers, WITHOUT_OTHERS[type ?? ''], OF_NO_USE].filter(Boolean).join(':')
  const known = answers.get(list)
  if (known !== undefined) return known
  const answer = isTaken(list)
  answers.set(list, answer)
  return answer
}

/** OpenSSL refuses a list without any suite of TLS 1.2; those of TLS 1.3 are no part of it. */
function isTaken(ciphers: string): boolean {
  try {
    createSecureContext({ ciphers })
    return true
  } catch {
    return false
  }
}

/** Says so where no suite of TLS 1.2 goes with a certificate that is shown. Those of TLS 1.3 go with every key. */
export function noSuite(
  { ssl_ciphers: ciphers, ssl_protocols: protocols }: Pick<ServerConfig, 'ssl_ciphers' | 'ssl_protocols'>,
  leaves: readonly CertificateFacts[],
): string | undefined {
  const hasNewer = protocols.includes('TLSv1.3')
  // A list of suites of TLS 1.3 alone is another way to say that nothing else is spoken.
  const isOnlyNewer = hasNewer && ciphers.split(':').every((name) => name.startsWith('TLS_'))
  if (!protocols.includes('TLSv1.2') || isOnlyNewer || leaves.length === 0) return undefined
  const types = leaves.map(({ x509 }) => x509.publicKey.asymmetricKeyType)
  if (types.some((type) => hasSuiteFor(ciphers, type))) return undefined
  const suite = types.some((type) => type?.startsWith('rsa')) ? 'ECDHE-RSA' : 'ECDHE-ECDSA'
  const which = hasNewer ? 'every handshake of TLS 1.2' : 'every handshake'
  return `no suite of it goes with the certificate, whose key is ${types.join(' or ')}: ${which} fails; add ${suite}-AES128-GCM-SHA256`
}
