import { statSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import type { Config, CrlSource, LoadedConfig, PemSource } from '../../config/index.ts'
import { CertificateError, type CertificateErrorCode } from '../../tls-cert-utils/certificate-error.ts'
import { RevocationList, type RevocationListParts, readRevocationLists } from '../../tls-cert-utils/revocation-list.ts'
import { stampOf } from '../file-stamp.ts'
import { readListFile } from './list-file.ts'

/** Smaller files are read faster than a thread starts. */
export const SMALL = 256 * 1024

interface ReadFile {
  /** Differs where the file has changed. */
  readonly stamp: string
  /** Or what is wrong with them. */
  readonly lists: readonly RevocationList[] | CertificateError
}

interface FileWanted {
  readonly file: string
  /** PEM bundles of the authorities that may have signed them: then the thread checks the signatures, and the signed bytes need not be kept. */
  readonly authorities: readonly string[]
}

interface BytesWanted extends Pick<FileWanted, 'authorities'> {
  readonly bytes: Uint8Array
  /** How many lists there may be. */
  readonly most: number
}

/** What a thread is asked to read. */
export type ListsWanted = FileWanted | BytesWanted

/** What it answers. */
export type ListsRead =
  | { readonly parts: readonly RevocationListParts[] }
  | { readonly problem: { readonly code: CertificateErrorCode; readonly message: string } }

/**
 * The revocation lists of files; each is read once while its file stays the same. A thread reads large ones, so that requests go on meanwhile; only
 * the index comes back.
 */
export class RevocationFiles {
  readonly #read = new Map<string, ReadFile>()
  #used = new Set<string>()

  /** Reads the large and new files of a configuration. `lists` reports what is wrong with them. */
  async prepare({ config }: Pick<LoadedConfig, 'config'>): Promise<void> {
    for (const wanted of config ? wantedBy(config) : []) {
      const found = statSync(wanted.file, { throwIfNoEntry: false })
      if (!found || found.size < SMALL || this.#read.get(wanted.file)?.stamp === stampOf(found)) continue
      const lists = await readInThread(wanted)
      if (lists) this.#read.set(wanted.file, { stamp: stampOf(found), lists })
    }
  }

  /** @throws CertificateError that names the file */
  lists(source: CrlSource): readonly RevocationList[] {
    return source.parts.flatMap((part) => ('file' in part ? this.#listsOf(part.file) : readRevocationLists(part.text)))
  }

  /** Forgets lists that nobody has asked for since the last call. */
  forgetUnused(): void {
    for (const file of this.#read.keys()) if (!this.#used.has(file)) this.#read.delete(file)
    this.#used = new Set()
  }

  #listsOf(file: string): readonly RevocationList[] {
    this.#used.add(file)
    try {
      const stamp = stampOf(statSync(file))
      const known = this.#read.get(file)
      if (known?.stamp === stamp) {
        if (known.lists instanceof CertificateError) throw known.lists
        return known.lists
      }
      const lists = readRevocationLists(readListFile(file))
      this.#read.set(file, { stamp, lists })
      return lists
    } catch (error) {
      if (error instanceof CertificateError) throw new CertificateError(error.code, `${file}: ${error.message}`)
      throw new CertificateError('BAD_CRL', `${file} cannot be read (${(error as NodeJS.ErrnoException).code}).`)
    }
  }
}

function wantedBy(config: Config): FileWanted[] {
  const authoritiesOf = new Map<string, Set<string>>()
  for (const { source, trusted } of [...askedAboutClients(config), ...askedAboutUpstreams(config)]) {
    for (const part of source.parts) {
      if (!('file' in part)) continue
      const authorities = authoritiesOf.get(part.file) ?? new Set()
      authoritiesOf.set(part.file, authorities)
      for (const authority of trusted) if (authority) authorities.add(authority.read())
    }
  }
  return [...authoritiesOf].map(([file, authorities]) => ({ file, authorities: [...authorities] }))
}

interface ListsAsked {
  readonly source: CrlSource
  /** The authorities that may have signed them. */
  readonly trusted: readonly (PemSource | undefined)[]
}

function askedAboutClients({ listeners }: Config): ListsAsked[] {
  return listeners.flatMap(({ servers }) =>
    servers.flatMap((server) => {
      const { ssl_crl: source, ssl_client_certificate: announced, ssl_trusted_certificate: trusted } = server
      const isAsked = server.ssl_verify_client !== 'off' && server.revocation_check_mode !== 'SKIP'
      return source && isAsked ? [{ source, trusted: [announced, trusted] }] : []
    }),
  )
}

function askedAboutUpstreams({ proxy, services }: Config): ListsAsked[] {
  const { proxy_ssl_crl: source, proxy_ssl_trusted_certificate: trusted } = proxy
  if (!source) return []
  return [
    {
      source,
      trusted: [trusted, ...services.flatMap((service) => service.ca_certificates ?? []).map(({ cert }) => cert)],
    },
  ]
}

/**
 * Resolves to what is wrong with the lists where that is so: to find it once more would take as long as to read them. Undefined where the thread could
 * not tell, as without the file. It gets no environment: that may hold secrets.
 */
export function readInThread(wanted: ListsWanted): Promise<readonly RevocationList[] | CertificateError | undefined> {
  return new Promise((resolve) => {
    const program = new URL(
      `./revocation-thread${import.meta.url.slice(import.meta.url.lastIndexOf('.'))}`,
      import.meta.url,
    )
    const thread = new Worker(program, { workerData: wanted, env: {} })
    thread.once('message', (read: ListsRead) =>
      resolve(
        'problem' in read
          ? new CertificateError(read.problem.code, read.problem.message)
          : read.parts.map(RevocationList.fromParts),
      ),
    )
    thread.once('error', () => resolve(undefined)).once('exit', () => resolve(undefined))
  })
}
