import { get, type IncomingMessage } from 'node:http'
import { RevocationList, readRevocationLists } from '../tls-cert-utils/revocation-list.ts'
import { readInThread, SMALL } from './revocation-files.ts'

export interface DownloadLimits {
  /** Milliseconds from the beginning to the end. */
  readonly timeout: number
  /** Bytes. */
  readonly maxSize: number
}

/**
 * The lists behind an http: address. They need no secure way: their signature is checked. Redirections are not followed, since a certificate names
 * its addresses itself.
 * @param authority PEM of who must have signed them
 */
export async function downloadLists(
  url: string,
  authority: string,
  { timeout, maxSize }: DownloadLimits,
): Promise<readonly RevocationList[]> {
  const bytes = await bodyOf(await answerOf(url, AbortSignal.timeout(timeout)), maxSize)
  if (bytes.length < SMALL) return readRevocationLists(bytes)
  const parts = await readInThread({ bytes, authorities: [authority] })
  return parts ? parts.map(RevocationList.fromParts) : readRevocationLists(bytes)
}

function answerOf(url: string, signal: AbortSignal): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    get(url, { signal, agent: false, headers: { accept: 'application/pkix-crl' } }, resolve).once('error', reject)
  })
}

async function bodyOf(answer: IncomingMessage, maxSize: number): Promise<Buffer> {
  try {
    if (answer.statusCode !== 200) throw new Error(`the answer is ${answer.statusCode}`)
    const chunks: Buffer[] = []
    let size = 0
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      size += chunk.length
      if (size > maxSize) throw new Error(`it is larger than ${maxSize} bytes (crl_fetch.max_size)`)
      chunks.push(chunk)
    }
    return Buffer.concat(chunks)
  } finally {
    answer.destroy()
  }
}
