import { boundedRequest } from '../../bounded-request.ts'
import { CertificateError } from '../../tls-cert-utils/certificate-error.ts'
import { type RevocationList, readRevocationLists } from '../../tls-cert-utils/revocation-list.ts'
import { readInThread, SMALL } from './revocation-files.ts'

export interface DownloadLimits {
  /** Milliseconds from the beginning to the end. */
  readonly timeout: number
  /** Bytes. */
  readonly maxSize: number
}

/** One is usual. Clients are judged by all of them, and anybody may answer with copies of a sound list. */
const MOST = 100

/**
 * Downloads the lists at an http: address. TLS is not needed, since their signature is checked. Redirections are not followed, since a certificate
 * names its addresses itself.
 * @param authority PEM of the authority that must have signed them
 */
export async function downloadLists(
  url: string,
  authority: string,
  { timeout, maxSize }: DownloadLimits,
): Promise<readonly RevocationList[]> {
  const question = { url: new URL(url), agent: false, headers: { accept: 'application/pkix-crl' } } as const
  const { status, body: bytes } = await boundedRequest(question, undefined, { timeout, most: maxSize })
  if (status !== 200) throw new Error(`the answer is ${status}`)
  if (bytes.length < SMALL) return readRevocationLists(bytes, { most: MOST })
  // Never in this thread where the other one failed: anybody may have sent them, and nothing else would be served meanwhile.
  const lists = await readInThread({ bytes, most: MOST, authorities: [authority] })
  if (!lists) throw new Error('the thread that reads large lists has failed')
  if (lists instanceof CertificateError) throw lists
  return lists
}
