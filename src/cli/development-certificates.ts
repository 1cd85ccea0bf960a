import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { readCertificates } from '../tls-cert-utils/certificates.ts'
import {
  type Authority,
  type AuthorityOptions,
  type CertificateOptions,
  createAuthority,
  type Issued,
  openAuthority,
} from '../tls-cert-utils/development-pki.ts'
import { CertificateError } from '../tls-cert-utils/key-pair.ts'
import { readRevocationLists } from '../tls-cert-utils/revocation-list.ts'
import { CommandError } from './command-error.ts'

/** One certificate or list of the set. */
export interface DevelopmentFile {
  /** As `server.crt`. */
  readonly name: string
  readonly about: string
  /** Milliseconds since the epoch; for a list, when the next one is due, if it says. */
  readonly notAfter: number | undefined
  readonly isNew: boolean
}

export interface DevelopmentOptions {
  /** One more client certificate, by this name. */
  readonly name?: string | undefined
  readonly days?: number
  /** Replaces what is there. */
  readonly force?: boolean
}

const DAY = 86_400_000
const HERE = { dnsNames: ['localhost'], ipAddresses: ['127.0.0.1', '::1'] }

interface Wanted {
  readonly about: string
  readonly certificate: CertificateOptions
}

const SET: Readonly<Record<string, Wanted>> = {
  server: {
    about: "the gateway's server certificate for localhost",
    certificate: { subject: 'CN=localhost', ...HERE, usages: ['server'] },
  },
  client: { about: 'a client, CN=ada', certificate: { subject: 'CN=ada', usages: ['client'] } },
  revoked: { about: 'a client that ca.crl revokes, CN=eve', certificate: { subject: 'CN=eve', usages: ['client'] } },
  gateway: {
    about: "the gateway's own for the way out, CN=gateway",
    certificate: { subject: 'CN=gateway', usages: ['client'] },
  },
  api: {
    about: 'an API behind the gateway, on localhost or api',
    // "api" is its name in docker-compose.yml.
    certificate: { subject: 'CN=api', ...HERE, dnsNames: ['localhost', 'api'], usages: ['server'] },
  },
}

/** Not Node's `recursive`: it never ends where mkdir reports ENOENT although the parent exists, as in /proc. */
function makeFolder(folder: string): void {
  const missing: string[] = []
  for (let path = resolve(folder); !existsSync(path); path = dirname(path)) missing.unshift(path)
  for (const path of missing) mkdirSync(path, { mode: 0o700 })
}

/**
 * Makes the missing files of a development set in `folder`, and the folder if need be. Existing files stay as they are.
 * @throws {CommandError} where the existing files cannot be used; the system's error where the folder cannot be written
 */
export async function makeDevelopmentCertificates(
  folder: string,
  { name, days = 825, force = false }: DevelopmentOptions = {},
): Promise<DevelopmentFile[]> {
  if (name !== undefined && (name === 'ca' || Object.hasOwn(SET, name))) {
    throw new CommandError(`--name ${name} is one of the set itself; choose another name`)
  }
  makeFolder(folder)
  const notAfter = new Date(Date.now() + days * DAY)
  const store = new Store(folder, force)
  const authority = await theAuthority(store, days)
  const client = { about: `a client, CN=${name}`, certificate: { subject: `CN=${name}`, usages: ['client'] } } as const
  const set = Object.entries<Wanted>(name === undefined ? SET : { ...SET, [name]: client })
  for (const [file, { about, certificate }] of set) {
    await store.pair(file, about, () => authority.issue({ ...certificate, notAfter }))
  }
  await store.list('ca.crl', 'revokes revoked.crt', () => {
    const revoked = readCertificates(store.read('revoked.crt'))
    return authority.revocationList({ revoked, nextUpdate: notAfter })
  })
  return store.files
}

async function theAuthority(store: Store, days: number): Promise<Authority> {
  const options: AuthorityOptions = {
    subject: 'CN=Sallyport development CA',
    notAfter: new Date(Date.now() + Math.max(3650, days) * DAY),
  }
  let made: Authority | undefined
  await store.pair('ca', 'signs all the others', async () => {
    made = await createAuthority(options)
    return made
  })
  if (made) return made
  try {
    return openAuthority({ pem: store.read('ca.crt'), keyPem: store.read('ca.key') })
  } catch {
    throw new CommandError(
      `${store.path('ca.key')} is no key of ca.crt; remove both, or make everything anew with --force`,
    )
  }
}

/** Writes missing files into the folder, and reports what it has. */
class Store {
  readonly files: DevelopmentFile[] = []
  readonly #folder: string
  readonly #force: boolean

  constructor(folder: string, force: boolean) {
    this.#folder = folder
    this.#force = force
  }

  path(name: string): string {
    return join(this.#folder, name)
  }

  read(name: string): string {
    return readFileSync(this.path(name), 'utf8')
  }

  async pair(name: string, about: string, make: () => Promise<Issued>): Promise<void> {
    const [crt, key] = [`${name}.crt`, `${name}.key`]
    const isNew = this.#force || !(this.#has(crt) || this.#has(key))
    if (isNew) {
      const issued = await make()
      this.#write(key, issued.keyPem, 0o600)
      this.#write(crt, issued.chainPem, 0o644)
    }
    for (const [half, other] of [
      [crt, key],
      [key, crt],
    ] as const) {
      if (this.#has(half)) continue
      throw new CommandError(
        `${this.path(other)} is there without ${half}; remove it, or make everything anew with --force`,
      )
    }
    this.#note(crt, about, isNew, (pem) => readCertificates(pem)[0]?.notAfter ?? 0)
  }

  async list(name: string, about: string, make: () => Promise<string>): Promise<void> {
    const isNew = this.#force || !this.#has(name)
    if (isNew) this.#write(name, await make(), 0o644)
    this.#note(name, about, isNew, (pem) => readRevocationLists(pem)[0]?.nextUpdate)
  }

  #note(name: string, about: string, isNew: boolean, notAfterOf: (pem: string) => number | undefined): void {
    try {
      this.files.push({ name, about, isNew, notAfter: notAfterOf(this.read(name)) })
    } catch (error) {
      if (!(error instanceof CertificateError)) throw error
      throw new CommandError(`${this.path(name)}: ${error.message} Remove it, or make everything anew with --force.`)
    }
  }

  #has(name: string): boolean {
    return existsSync(this.path(name))
  }

  /** `wx` neither overwrites a file nor follows a link that somebody has put there. */
  #write(name: string, content: string, mode: number): void {
    if (this.#force) rmSync(this.path(name), { force: true })
    writeFileSync(this.path(name), content, { flag: 'wx', mode })
  }
}
