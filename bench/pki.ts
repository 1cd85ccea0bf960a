/** The bench's own certificates: one CA for clients, one for servers, EC P-256 throughout, made in the run. */
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { run } from './processes.ts'

/** Paths of PEM files. `both` holds certificate and key, as ab and HAProxy want them. */
export interface KeyPair {
  readonly certificate: string
  readonly key: string
  readonly both: string
}

export interface Pki {
  /** Signed everything below. */
  readonly ca: string
  /** For localhost and 127.0.0.1: the gateways and the upstream. */
  readonly server: KeyPair
  /** Whom the gateways let in. */
  readonly client: KeyPair
  /** What the gateways show to the upstream. */
  readonly gateway: KeyPair
  /** The folder of what each server name shows, where that is measured, see names.ts. */
  readonly names: string
}

export async function makePki(folder: string): Promise<Pki> {
  const ca = pathsOf(folder, 'ca')
  await request(ca, '/O=Sallyport bench/CN=Bench CA', [
    ...['-x509', '-days', '2', '-addext', 'keyUsage=critical,keyCertSign,cRLSign'],
  ])
  const issue = (name: string, subject: string, extensions: string) => sign(folder, ca, name, subject, extensions)
  return {
    ca: ca.certificate,
    server: await issue(
      'server',
      '/CN=localhost',
      'extendedKeyUsage=serverAuth\nsubjectAltName=DNS:localhost,IP:127.0.0.1',
    ),
    client: await issue('client', '/O=Sallyport bench/OU=Clients/CN=client', 'extendedKeyUsage=clientAuth'),
    gateway: await issue('gateway', '/O=Sallyport bench/CN=gateway', 'extendedKeyUsage=clientAuth'),
    names: join(folder, 'names'),
  }
}

async function sign(folder: string, ca: KeyPair, name: string, subject: string, extensions: string): Promise<KeyPair> {
  const pair = pathsOf(folder, name)
  const csr = join(folder, `${name}.csr`)
  const extensionFile = join(folder, `${name}.ext`)
  writeFileSync(extensionFile, `basicConstraints=CA:FALSE\nkeyUsage=digitalSignature\n${extensions}\n`)
  await request({ ...pair, certificate: csr }, subject, [])
  await run('openssl', [
    ...['x509', '-req', '-in', csr, '-CA', ca.certificate, '-CAkey', ca.key, '-CAcreateserial', '-sha256'],
    ...['-days', '2', '-extfile', extensionFile, '-out', pair.certificate],
  ])
  writeFileSync(pair.both, readFileSync(pair.certificate), { mode: 0o600 })
  appendFileSync(pair.both, readFileSync(pair.key))
  return pair
}

async function request(pair: KeyPair, subject: string, more: readonly string[]): Promise<void> {
  await run('openssl', [
    ...['req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-noenc', '-sha256', '-subj', subject],
    ...['-keyout', pair.key, '-out', pair.certificate, ...more],
  ])
}

export function pathsOf(folder: string, name: string): KeyPair {
  return {
    certificate: join(folder, `${name}.crt`),
    key: join(folder, `${name}.key`),
    both: join(folder, `${name}.pem`),
  }
}
