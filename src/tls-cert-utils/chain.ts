import type { X509Certificate } from 'node:crypto'

/** Longer than any chain that OpenSSL verifies by default (its depth is 100). */
const MAX_CHAIN = 128

/**
 * The certificates of a peer's chain as Node linked them, leaf first and, where it is known, trust anchor last.
 * @param leaf of `TLSSocket.getPeerX509Certificate()`; one that was only parsed has no chain
 */
export function chainOf(leaf: X509Certificate): X509Certificate[] {
  const chain = [leaf]
  const seen = new Set([leaf.fingerprint256])
  for (let issuer = leaf.issuerCertificate; issuer && chain.length < MAX_CHAIN; issuer = issuer.issuerCertificate) {
    if (seen.has(issuer.fingerprint256)) break // a root is its own issuer; crafted chains can go round longer ways
    seen.add(issuer.fingerprint256)
    chain.push(issuer)
  }
  return chain
}

/**
 * The number of intermediates between a verified leaf and its trust anchor, which nginx's `ssl_verify_depth` bounds since OpenSSL 1.1:
 * depth 1 accepts leaf, intermediate, root. Node has no verify depth of its own. A resumed connection has no chain and counts 0,
 * so remember the full handshake's verdict (or keep tickets within one policy, where it was already given).
 */
export function chainDepth(leaf: X509Certificate): number {
  return Math.max(0, chainOf(leaf).length - 2)
}
