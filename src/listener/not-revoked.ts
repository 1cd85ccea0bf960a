import type { Revocation, RevocationFinding } from '../tls-cert-utils/revocation.ts'
import { type Demand, failed, type Opinion } from './demand.ts'

/** `tell` hears of lists that were missing or not current where that refuses nobody. */
export function notRevoked(revocation: Revocation, tell: (ignored: RevocationFinding) => void): Demand {
  return ({ certificate, chain, error }, now): Opinion => {
    const path = [certificate, ...chain]
    // `optional_no_ca` does not forgive a stranger that no list speaks of him, as in nginx.
    const { findings, ignored, until } =
      error === undefined ? revocation.judge(path, now) : revocation.judgeStranger(certificate)
    for (const finding of ignored) tell(finding)
    const last = findings.at(-1)
    if (!last) return { failure: undefined, until }
    const { code, at, detail } = last
    const whose = at === 0 ? '' : path[at]?.subject
    const hint = [whose, detail].filter(Boolean).join(': ')
    return { failure: failed(code, hint ? { hint } : {}), until }
  }
}
