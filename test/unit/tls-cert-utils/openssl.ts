import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createAuthority } from '../../../src/tls-cert-utils/development-pki.ts'

/** Runs the openssl program and gives what it wrote to stdout; its stderr is dropped. @throws where it fails */
export function openssl(args: readonly string[], input?: string | Uint8Array): string {
  return execFileSync('openssl', args, {
    input,
    encoding: 'utf8',
    stdio: ['pipe', 'pipe', 'ignore'],
    maxBuffer: 1 << 28,
  })
}

/** Runs `work` in a temporary folder that is removed afterwards. */
export async function inFolder<T>(work: (folder: string) => T | Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-'))
  try {
    return await work(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/**
 * What `-nameopt RFC2253` prints for each subject, as nginx would; undefined where OpenSSL refuses the certificate.
 * All in one run of `openssl verify -show_chain`: a process for each would take minutes.
 */
export async function printedSubjects(subjects: readonly Uint8Array[]): Promise<(string | undefined)[]> {
  const authority = await createAuthority({ subject: 'CN=printer' })
  const issued = await Promise.all(subjects.map((subject) => authority.issue({ subject })))
  return inFolder((folder) => {
    const root = join(folder, 'root.pem')
    writeFileSync(root, authority.pem)
    const files = issued.map(({ pem }, index) => {
      const file = join(folder, `${index}.pem`)
      writeFileSync(file, pem)
      return file
    })
    const args = ['verify', '-CAfile', root, '-show_chain', '-nameopt', 'RFC2253', ...files]
    const { stdout } = spawnSync('openssl', args, { encoding: 'utf8', maxBuffer: 1 << 28 })
    const printed = new Map<string, string>()
    for (const [, file, subject] of stdout.matchAll(/^(.+): OK\nChain:\ndepth=0: ?(.*) \(untrusted\)$/gm)) {
      printed.set(file as string, subject as string)
    }
    return files.map((file) => printed.get(file))
  })
}

/** What `-nameopt compat` (X509_NAME_oneline) prints for the subject of each certificate. */
export async function onelineSubjects(pems: readonly string[]): Promise<string[]> {
  return inFolder((folder) => {
    for (const [index, pem] of pems.entries()) writeFileSync(join(folder, `${index}.pem`), pem)
    const script = `i=0; while [ $i -lt ${pems.length} ]; do openssl x509 -noout -subject -nameopt compat -in $i.pem; i=$((i+1)); done`
    const lines = execFileSync('sh', ['-c', script], { cwd: folder, encoding: 'utf8' }).split('\n')
    return lines.slice(0, pems.length).map((line) => line.replace(/^subject= ?/, ''))
  })
}

/** What `openssl verify` says of a client's certificate: its error line, or that it is OK. */
export async function opensslVerify(
  trustedPem: string,
  leafPem: string,
  untrustedPem = '',
  ...args: string[]
): Promise<string> {
  return inFolder((folder) => {
    const files = { trusted: trustedPem, untrusted: untrustedPem, leaf: leafPem }
    for (const [name, pem] of Object.entries(files)) writeFileSync(join(folder, name), pem)
    const untrusted = untrustedPem === '' ? [] : ['-untrusted', 'untrusted']
    const all = ['verify', ...args, '-purpose', 'sslclient', '-CAfile', 'trusted', ...untrusted, 'leaf']
    const { stdout, stderr } = spawnSync('openssl', all, { cwd: folder, encoding: 'utf8' })
    return stdout + stderr
  })
}
