import type { CertificateFacts } from '../tls-cert-utils/certificate.ts'
import type { Revocation, RevocationFinding } from '../tls-cert-utils/revocation.ts'
import { type Demand, failed, type Opinion, type Shown } from './demand.ts'

/**
 * A policy's demand that no certificate of the chain is revoked.
 * @param onIgnored called for each list that is missing or not current although the client is let in
 */
export function notRevoked(
  revocation: Revocation,
  {
    onIgnored,
    prepare = () => undefined,
  }: {
    onIgnored: (ignored: RevocationFinding) => void
    /** Fetches the lists that the certificates of a chain name, without those of the last certificate. */
    prepare?: ((chain: readonly CertificateFacts[]) => Promise<void> | undefined) | undefined
  },
): Demand {
  const judge = (shown: Shown, now: number): Opinion => {
    const { certificate, chain, error } = shown
    const path = [certificate, ...chain]
    // As in nginx, `optional_no_ca` does not forgive that there is no list for a client of an unknown authority.
    const { findings, ignored, until } = hasKnownChain(shown)
      ? revocation.judge(path, now)
      : revocation.judgeStranger(certificate)
    const last = findings.at(-1)
    if (!last) {
      // A client that is refused for something else is not let in in spite of a missing list.
      if (error === undefined) for (const finding of ignored) onIgnored(finding)
      return { failure: undefined, until }
    }
    const { code, at, detail } = last
    const whose = at === 0 ? '' : path[at]?.subject
    const hint = [whose, detail].filter(Boolean).join(': ')
    return { failure: failed(code, hint ? { hint } : {}), until }
  }
  return Object.assign(judge, {
    prepare(shown: Shown) {
      if (!hasKnownChain(shown)) return undefined
      const path = [shown.certificate, ...shown.chain]
      return prepare(path.slice(0, revocation.certificatesToCheck(path) + 1))
    },
  })
}

/** True also for a chain that was found and refused for something other than an unknown issuer. */
function hasKnownChain({ chain, error }: Shown): boolean {
  return error === undefined || chain.length > 0
}
