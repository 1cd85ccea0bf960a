import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Command } from 'commander'
import { CommandError, fileTrouble, reporting } from './command-error.ts'
import { print } from './print.ts'

const FOLDER = 'certs'
const CONFIGURATION = fileURLToPath(new URL('../../conf/examples/demo.yaml', import.meta.url))

export function addDemo(program: Command): void {
  program
    .command('demo')
    .description('Try it: certificates, an API and the gateway on https://localhost:8443, and commands to copy.')
    .addHelpText('after', DETAILS)
    .action(reporting('demo', demo))
}

const DETAILS = `
Makes development certificates in certs/ (once; "sallyport certs --force" makes them anew), starts a small API that demands the
gateway's certificate, starts the gateway with conf/examples/demo.yaml, and prints curl commands. Ctrl-C stops everything.
Each request is then logged as one JSON line.

Environment:
  SALLYPORT_LISTEN         where the gateway listens instead of 127.0.0.1:8443, as 127.0.0.1:9443
  SALLYPORT_ADMIN_LISTEN   where /healthz, /readyz and /metrics are; a free port of 127.0.0.1 without it

Examples:
  sallyport demo
  SALLYPORT_LISTEN=127.0.0.1:9443 sallyport demo`

async function demo(): Promise<void> {
  const { run } = await import('./run.ts')
  const files = await certificates()
  const { startDemoApi } = await import('./demo-api.ts')
  const api = await startDemoApi(FOLDER)
  const server = await run({ file: CONFIGURATION, env: environment(api.url) })
  if (!server) {
    api.close()
    throw new CommandError(
      'the gateway did not start. Is its port taken? SALLYPORT_LISTEN=127.0.0.1:9443 chooses another.',
    )
  }
  const { https, admin } = server.addresses
  print(introduction({ files, port: https[0]?.port ?? 0, adminPort: admin?.port }))
  const unread = Object.keys(process.env).filter((name) => /^(SALLYPORT|SECRET_CLIENT)_/.test(name) && !READ.has(name))
  if (unread.length > 0) process.stderr.write(`Not read here: ${unread.join(', ')}. "sallyport run" reads them.\n\n`)
}

const READ: ReadonlySet<string> = new Set(['SALLYPORT_LISTEN', 'SALLYPORT_ADMIN_LISTEN'])

/** Only addresses are taken from the user's environment: the demo must not send a real key to a toy. */
function environment(apiUrl: string): NodeJS.ProcessEnv {
  const { SALLYPORT_LISTEN, SALLYPORT_ADMIN_LISTEN = '127.0.0.1:0', NODE_TLS_REJECT_UNAUTHORIZED } = process.env
  return {
    API_URL: apiUrl,
    SALLYPORT_ADMIN_LISTEN,
    SALLYPORT_LOG_LEVEL: 'warn',
    ...(SALLYPORT_LISTEN === undefined ? {} : { SALLYPORT_LISTEN }),
    ...(NODE_TLS_REJECT_UNAUTHORIZED === undefined ? {} : { NODE_TLS_REJECT_UNAUTHORIZED }),
  }
}

async function certificates(): Promise<'new' | 'kept'> {
  const { makeDevelopmentCertificates } = await import('./development-certificates.ts')
  const files = await makeDevelopmentCertificates(FOLDER).catch((error) => {
    throw error instanceof CommandError ? error : new CommandError(`${FOLDER} ${fileTrouble(error)}`)
  })
  const expired = files.find(({ notAfter = Number.POSITIVE_INFINITY }) => notAfter < Date.now())
  if (expired) {
    throw new CommandError(`${FOLDER}/${expired.name} has expired; "sallyport certs --force" makes all of them anew`)
  }
  return files.some(({ isNew }) => isNew) ? 'new' : 'kept'
}

interface Facts {
  readonly files: 'new' | 'kept'
  readonly port: number
  readonly adminPort: number | undefined
}

function introduction({ files, port, adminPort }: Facts): string {
  const url = `https://localhost:${port}`
  const curl = `curl --cacert ${FOLDER}/ca.crt`
  const as = (name: string) => `--cert ${FOLDER}/${name}.crt --key ${FOLDER}/${name}.key`
  return `
Sallyport is at ${url}, configured by ${CONFIGURATION}.
Its certificates are in ${resolve(FOLDER)} (${files === 'new' ? 'made just now' : 'there already'}). Behind it is a small API that demands the gateway's certificate
and answers with what it saw. In another terminal:

  cd ${shellWord(process.cwd())}

With a certificate: the API sees VERIFIED: SUCCESS and DN: CN=ada
  ${curl} ${as('client')} ${url}/hello

Without one: VERIFIED: NONE
  ${curl} ${url}/hello

With a revoked one: the gateway answers 400, and its log says why
  ${curl} ${as('revoked')} ${url}/hello

Pretending to be somebody: what a client sends as DN, in any spelling, never arrives
  ${curl} -H "VERIFIED: SUCCESS" -H "DN: CN=root" -H "Dn: CN=root" ${url}/hello
${adminPort === undefined ? '' : `\nHealth and metrics\n  curl http://127.0.0.1:${adminPort}/metrics\n`}
With certificates and an API of yours
  npx sallyport run --help

Ctrl-C stops everything. Each request is logged below as one line of JSON.

`
}

function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`
}
