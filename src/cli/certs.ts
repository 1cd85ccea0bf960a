import { type Command, InvalidArgumentError } from 'commander'
import { CommandError, fileTrouble, reporting } from './command-error.ts'
import type { DevelopmentFile } from './development-certificates.ts'
import { print } from './print.ts'

interface CertsOptions {
  readonly name?: string
  readonly days: number
  readonly force: boolean
}

export function addCerts(program: Command): void {
  program
    .command('certs')
    .description('Make a development CA and every certificate that a first try needs. What is there already is kept.')
    .argument('[dir]', 'the folder for them', 'certs')
    .option(
      '--name <name>',
      'make one more client certificate, NAME.crt and NAME.key, with the subject CN=NAME',
      fileName,
    )
    .option('--days <days>', 'how long what is made is valid; the CA for ten years at least', dayCount, 825)
    .option('--force', 'make everything anew, the CA too: what the old one signed is worth nothing then', false)
    .showHelpAfterError('(sallyport certs --help says what there is)')
    .addHelpText('after', DETAILS)
    .action(reporting('certs', certs))
}

const DETAILS = `
Makes, each .crt with its .key (mode 0600):
  ca        the authority that signs all the others, and ca.crl, its revocation list
  server    the gateway's server certificate: localhost, 127.0.0.1, ::1
  client    a client, CN=ada
  revoked   a client, CN=eve, whom ca.crl revokes
  gateway   the gateway's own certificate for the way out, CN=gateway
  api       the server certificate of an API behind the gateway: localhost, api, 127.0.0.1, ::1

Examples:
  sallyport certs                       everything in certs/
  sallyport certs --name bob            certs/bob.crt and certs/bob.key too
  sallyport certs /tmp/pki --days 7     a short-lived set elsewhere
  SALLYPORT_SSL_CERTIFICATE=certs/server.crt SALLYPORT_SSL_CERTIFICATE_KEY=certs/server.key \\
  SALLYPORT_SSL_CLIENT_CERTIFICATE=certs/ca.crt SALLYPORT_SSL_CRL=certs/ca.crl SALLYPORT_SSL_VERIFY_CLIENT=on \\
  SECRET_CLIENT_CERT=certs/gateway.crt SECRET_CLIENT_KEY=certs/gateway.key \\
  SALLYPORT_UPSTREAM_URL=https://api:9443 SALLYPORT_PROXY_SSL_TRUSTED_CERTIFICATE=certs/ca.crt sallyport run

The CA's key lies unencrypted beside its certificate: trust it on no machine but your own, and use none of this in production.`

async function certs(folder: string, options: CertsOptions): Promise<void> {
  const { makeDevelopmentCertificates } = await import('./development-certificates.ts')
  const files = await makeDevelopmentCertificates(folder, options).catch((error) => {
    if (error instanceof CommandError) throw error
    throw new CommandError(`${folder} ${fileTrouble(error)}`)
  })
  print(`${summary(folder, files)}\n`)
}

function summary(folder: string, files: readonly DevelopmentFile[]): string {
  const width = Math.max(...files.map(({ name }) => name.length))
  const lines = files.map(({ name, isNew, about, notAfter }) => {
    return `  ${isNew ? 'made' : 'kept'}  ${name.padEnd(width)}  ${about}, ${validity(notAfter)}`
  })
  const kept = files.some(({ isNew }) => !isNew)
  return [
    `${folder}:`,
    ...lines,
    'Each .crt has its .key beside it, for your eyes only. For development: production certificates come from a CA of yours.',
    ...(kept ? ['What was there was kept; --force makes everything anew.'] : []),
  ].join('\n')
}

function validity(notAfter: number | undefined): string {
  if (notAfter === undefined) return 'without an end'
  const day = new Date(notAfter).toISOString().slice(0, 10)
  return notAfter < Date.now() ? `EXPIRED on ${day}` : `valid until ${day}`
}

function fileName(written: string): string {
  if (!/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$/.test(written)) {
    throw new InvalidArgumentError('It names a file: up to 64 letters, digits, dots, dashes and underscores.')
  }
  return written
}

function dayCount(written: string): number {
  const days = /^\d{1,5}$/.test(written) ? Number(written) : 0
  if (days < 1) throw new InvalidArgumentError('Expected a number of days, from 1 to 99999.')
  return days
}
