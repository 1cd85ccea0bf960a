/** A thread that reads one file of revocation lists, checks the signatures that it can, and hands the index over. */
import { parentPort, workerData } from 'node:worker_threads'
import type { CertificateFacts } from '../tls-cert-utils/certificate.ts'
import { readCertificates } from '../tls-cert-utils/certificates.ts'
import { isNamedBy } from '../tls-cert-utils/revocation.ts'
import { readRevocationLists } from '../tls-cert-utils/revocation-list.ts'
import { readListFile } from './list-file.ts'
import type { ListsWanted } from './revocation-files.ts'

const wanted = workerData as ListsWanted
const issuers: CertificateFacts[] = wanted.authorities.flatMap((pem) => readCertificates(pem))
const parts = readRevocationLists('file' in wanted ? readListFile(wanted.file) : wanted.bytes).map((list) => {
  for (const issuer of issuers) if (isNamedBy(list, issuer)) list.isSignedBy(issuer)
  return list.parts
})
parentPort?.postMessage(parts)
