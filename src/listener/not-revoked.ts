import type { CertificateFacts } from '../tls-cert-utils/certificate.ts'
import type { Revocation, RevocationFinding } from '../tls-cert-utils/revocation.ts'
import { type Demand, failed, type Opinion, type Shown } from './demand.ts'

/** `tell` hears of lists that were missing or not current where somebody is let in all the same. */
export function notRevoked(
  revocation: Revocation,
  {
    tell,
    prepare = () => undefined,
  }: {
    tell: (ignored: RevocationFinding) => void
    /** Fetches the lists that the certificates of a chain name, all but those of the last one. */
    prepare?: ((chain: readonly CertificateFacts[]) => Promise<void> | undefined) | undefined
  },
): Demand {
  const judge = (shown: Shown, now: number): Opinion => {
    const { certificate, chain, error } = shown
    const path = [certificate, ...chain]
    // `optional_no_ca` does not forgive a stranger that no list speaks of him, as in nginx.
    const { findings, ignored, until } = hasKnownChain(shown)
      ? revocation.judge(path, now)
      : revocation.judgeStranger(certificate)
    const last = findings.at(-1)
    if (!last) {
      // Nobody is let in for that whom something else refuses.
      if (error === undefined) for (const finding of ignored) tell(finding)
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

/** Also where it was found, but refused for something else than an unknown issuer. */
function hasKnownChain({ chain, error }: Shown): boolean {
  return error === undefined || chain.length > 0
}
