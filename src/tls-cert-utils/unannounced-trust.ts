import { getCACertificates, setDefaultCACertificates } from 'node:tls'

/**
 * Makes a secure context, or a server with one, that trusts these authorities without announcing their names in its CertificateRequest. The option
 * `ca` always does both, while the default authorities are trusted and never announced. So these are made the defaults of this thread while `make`
 * runs; it must set no `ca` and wait for nothing. A context keeps what it was made with.
 * @param pems one certificate each; none means that nobody is trusted
 */
export function trustingUnannounced<T>(pems: readonly string[], make: () => T): T {
  const before = getCACertificates('default')
  setDefaultCACertificates(pems)
  try {
    return make()
  } finally {
    setDefaultCACertificates(before)
  }
}
