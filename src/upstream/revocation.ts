import type { TLSSocket } from 'node:tls'
import { type CertificateFacts, readCertificate } from '../tls-cert-utils/certificate.ts'
import { findPath, isSoundPath, sentWith } from '../tls-cert-utils/chain.ts'
import type { Revocation, RevocationFinding } from '../tls-cert-utils/revocation.ts'
import { opensslReason } from '../tls-cert-utils/verify-errors.ts'

/** The upstream's certificate first, its root last. */
export type UpstreamChain = readonly CertificateFacts[]

/** Looks an upstream up in the lists of nginx's `proxy_ssl_crl`, after a handshake that OpenSSL accepted. */
export class UpstreamRevocation {
  /** Differs where the lists or the mode differ: a part of the connection's TLS identity. */
  readonly identity: string
  readonly #lists: Pick<Revocation, 'judge'>
  readonly #trusted: readonly CertificateFacts[]
  readonly #onIgnored: (ignored: RevocationFinding) => void

  /** @param onIgnored called for each list that is missing or not current although the upstream is asked */
  constructor(
    lists: Pick<Revocation, 'judge'>,
    {
      identity,
      trusted,
      onIgnored,
    }: {
      identity: string
      trusted: readonly CertificateFacts[]
      onIgnored: (ignored: RevocationFinding) => void
    },
  ) {
    this.identity = identity
    this.#lists = lists
    this.#trusted = trusted
    this.#onIgnored = onIgnored
  }

  /** The chain that OpenSSL has just verified, to be kept with the session: a resumed handshake shows only the first certificate. */
  chainOf(socket: TLSSocket): UpstreamChain | undefined {
    const leaf = socket.getPeerX509Certificate()
    if (!leaf) return undefined
    const path = findPath([readCertificate(leaf.raw), ...sentWith(leaf)], this.#trusted, Date.now())
    return isSoundPath(path) ? path.chain : undefined
  }

  /** Why no request may be sent there; undefined where one may. @param chain undefined where it is not known, which refuses */
  refusalOf(chain: UpstreamChain | undefined, now = Date.now()): Error | undefined {
    if (!chain) return refusal({ code: 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY', at: 0 })
    const { findings, ignored } = this.#lists.judge(chain, now)
    const last = findings.at(-1)
    if (!last) {
      for (const finding of ignored) this.#onIgnored(finding)
      return undefined
    }
    return refusal(last, last.at === 0 ? '' : chain[last.at]?.subject)
  }
}

function refusal({ code, detail }: RevocationFinding, whose = ''): Error {
  const more = [whose, detail].filter(Boolean).join(': ')
  return Object.assign(new Error(opensslReason(code) + (more && ` (${more})`)), { code })
}
