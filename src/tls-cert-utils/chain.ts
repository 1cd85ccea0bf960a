import type { X509Certificate } from 'node:crypto'

/** OpenSSL itself verifies no longer chain by default. */
const MAX_INTERMEDIATES = 100

/**
 * The number of intermediates between a verified leaf and its trust anchor, which nginx's `ssl_verify_depth` bounds since OpenSSL 1.1:
 * depth 1 accepts leaf, intermediate, root. Node has no verify depth, and tells the chain as the peer sent it, which may end below
 * the anchor. Infinity where it is not the chain that was verified: a peer can add a look-alike issuer to seem closer to the root.
 *
 * A resumed connection has no chain and counts too few: keep the verdict of its full handshake.
 * @param leaf of `TLSSocket.getPeerX509Certificate()`, on a connection that is authorized
 * @param trusted the trust store; with it intermediates of the store count, and cross-signed roots sent by the peer don't, as in OpenSSL
 */
export function chainDepth(leaf: X509Certificate, trusted: readonly X509Certificate[] = []): number {
  let current = leaf
  for (let intermediates = 0; intermediates <= MAX_INTERMEDIATES; intermediates++) {
    if (isSelfIssued(current)) return Math.max(0, intermediates - 1)
    const known = trusted.find((candidate) => current.checkIssued(candidate))
    const issuer = known ?? current.issuerCertificate
    if (issuer === undefined) return intermediates
    if (known === undefined && !current.verify(issuer.publicKey)) return Number.POSITIVE_INFINITY
    current = issuer
  }
  return Number.POSITIVE_INFINITY
}

function isSelfIssued(certificate: X509Certificate): boolean {
  return certificate.checkIssued(certificate)
}
