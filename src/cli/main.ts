import { Command } from 'commander'
import { buildInfo } from '../process/build-info.ts'
import { addCerts } from './certs.ts'
import { addCheck } from './check.ts'
import { addDemo } from './demo.ts'
import { addHash } from './hash.ts'
import { addInspect } from './inspect.ts'
import { withCommandFirst } from './misplaced-option.ts'
import { print } from './print.ts'
import { addRegistryConfig } from './registry-config.ts'
import { addRun } from './run.ts'

/** The command line. `argv` is process.argv. */
export async function main(argv: readonly string[]): Promise<void> {
  const program = new Command('sallyport')
    .description(
      'A TLS gateway that verifies client certificates on the way in, presents its own on the way out, and tells the backend who is calling.',
    )
    .configureOutput({ writeOut: print })
    .version(buildInfo.version)
    .showHelpAfterError('(sallyport --help says what there is)')
    .addHelpText('after', EXAMPLES)
  addRun(program)
  addCheck(program)
  addCerts(program)
  addInspect(program)
  addHash(program)
  addRegistryConfig(program)
  addDemo(program)
  const [node = '', script = '', ...args] = argv
  const meant = withCommandFirst(program, args)
  if (meant !== undefined) program.showHelpAfterError(`(options follow a command: ${meant})`)
  await program.parseAsync([node, script, ...args.map(asInGo)])
}

/** nats-server and other programs in Go take `-tlscert` for `--tlscert`. */
function asInGo(arg: string): string {
  return arg.replace(/^-(?=tls)/, '--')
}

const EXAMPLES = `
Examples:
  sallyport demo                          everything at once: certificates, an API and the gateway on https://localhost:8443
  sallyport certs                         a development CA, server and client certificates in certs/
  sallyport check -c sallyport.yaml       would it start? exit status 0 or 1
  sallyport run -c sallyport.yaml         start the gateway; SIGHUP reloads, SIGTERM drains and stops
  sallyport inspect client.crt            what the gateway would make of a client certificate
  sallyport hash                          the hash of a password, for the configuration

Without a file, the environment is enough:
  SALLYPORT_UPSTREAM_URL=https://api:9443 SALLYPORT_SSL_CERTIFICATE=server.crt SALLYPORT_SSL_CERTIFICATE_KEY=server.key \\
  SALLYPORT_SSL_CLIENT_CERTIFICATE=ca.crt SALLYPORT_SSL_VERIFY_CLIENT=on sallyport run
docs/configuration.md has every setting and its variable.`
