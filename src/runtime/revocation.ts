import type { ServerConfig } from '../config/index.ts'
import type { Log } from '../log.ts'
import { isNamedBy, Revocation, type RevocationFinding } from '../tls-cert-utils/revocation.ts'
import type { TrustStore } from '../tls-cert-utils/trust-store.ts'
import { opensslReason } from '../tls-cert-utils/verify-errors.ts'
import { digestOf, type Materials } from './materials.ts'

/** The revocation lists of a server. */
export interface ServerRevocation {
  readonly lists: Revocation
  /** Servers with the same name share their lists, and keep it when the lists are replaced. */
  readonly name: string
}

/** Undefined where the server looks at no list, or one of them cannot be used; `materials` has the problems then. */
export function revocationOf(
  config: ServerConfig,
  trust: TrustStore,
  materials: Materials,
): ServerRevocation | undefined {
  const { ssl_crl: source, ssl_crl_check: certificates, revocation_check_mode: mode } = config
  if (!source || mode === 'SKIP') return undefined
  const found = materials.revocationLists(source)
  if (!found) return undefined
  for (const list of found.lists) {
    const issuers = trust.certificates.filter((authority) => isNamedBy(list, authority))
    if (issuers.length === 0) {
      materials.warn(
        source.setting,
        `the list of ${list.issuer} belongs to no CA in ssl_client_certificate: it is of use only for an intermediate of that name`,
      )
    } else if (!issuers.some((issuer) => list.isSignedBy(issuer))) {
      materials.problem(
        source.setting,
        `the list of ${list.issuer} is not signed by the CA of that name in ssl_client_certificate; get it anew from the CA`,
      )
    }
    if (mode === 'STRICT' && list.nextUpdate < Date.now()) {
      materials.warn(
        source.setting,
        `the list of ${list.issuer} was to be replaced by ${new Date(list.nextUpdate).toISOString()}: until then every client of this CA is refused`,
      )
    }
  }
  return {
    lists: new Revocation(found.lists, { certificates, mode }),
    name: digestOf([found.name, certificates, mode]),
  }
}

/** How often the log tells of the same trouble, in milliseconds: each handshake would have its line otherwise. */
const TELLING_INTERVAL = 60_000

/** Tells the log of lists that are missing or not current where `revocation_check_mode` lets clients in all the same. */
export function ignoredListTeller(log: Log): (ignored: RevocationFinding) => void {
  const told = new Map<string, number>()
  return ({ code, detail = '' }) => {
    const key = `${code} ${detail}`
    const now = Date.now()
    if (now - (told.get(key) ?? 0) < TELLING_INTERVAL) return
    told.set(key, now)
    log.warn(
      { reason: opensslReason(code), detail },
      'clients are let in without a current revocation list (revocation_check_mode IGNORE_CA_ERROR)',
    )
  }
}
