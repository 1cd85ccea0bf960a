/** A thread that reads one file of revocation lists, checks the signatures that it can, and hands the index over. */
import { parentPort, workerData } from 'node:worker_threads'
import type { CertificateFacts } from '../../tls-cert-utils/certificate.ts'
import { CertificateError } from '../../tls-cert-utils/certificate-error.ts'
import { readCertificates } from '../../tls-cert-utils/certificates.ts'
import { isNamedBy } from '../../tls-cert-utils/revocation.ts'
import { readRevocationLists } from '../../tls-cert-utils/revocation-list.ts'
import { readListFile } from './list-file.ts'
import type { ListsRead, ListsWanted } from './revocation-files.ts'

const wanted = workerData as ListsWanted
const issuers: CertificateFacts[] = wanted.authorities.flatMap((pem) => readCertificates(pem))
parentPort?.postMessage(read())

function read(): ListsRead {
  try {
    const lists =
      'file' in wanted
        ? readRevocationLists(readListFile(wanted.file))
        : readRevocationLists(wanted.bytes, { most: wanted.most })
    for (const list of lists) for (const issuer of issuers) if (isNamedBy(list, issuer)) list.isSignedBy(issuer)
    return { parts: lists.map((list) => list.parts) }
  } catch (error) {
    if (!(error instanceof CertificateError)) throw error
    return { problem: { code: error.code, message: error.message } }
  }
}
