import { setDefaultHighWaterMark } from 'node:stream'
import { type Command, InvalidArgumentError } from 'commander'
import { fileOf, type LoadOptions, loadConfig } from '../config/index.ts'
import { ConfigError, describeProblem, type Problem } from '../errors.ts'
import { createLog, type Log } from '../log/log.ts'
import { Server } from '../server/server.ts'
import { Supervisor } from '../workers/supervisor.ts'
import { isWorker, serveAsWorker } from '../workers/worker.ts'
import { withConfigOption } from './config-option.ts'
import { checkNatsFlags, type NatsFlags, natsOverrides } from './nats-flags.ts'
import { unsafeEnvironment } from './unsafe-environment.ts'

export function addRun(program: Command): void {
  withConfigOption(program.command('run'))
    .description(
      'Start the gateway. SIGHUP and changed files reload it, SIGTERM drains and stops it, SIGUSR2 replaces its workers one by one.',
    )
    .option(
      '--authn-opt <name=value>',
      "an option for certificate mapping, as Docker's: certmap=sss,local names the mappers of the first server, any other goes to the plugins; may be repeated",
      authnOption,
      {},
    )
    .option('--tls [true]', "NATS's: speak TLS, as every listener does, with --tlscert and --tlskey")
    .option('--tlscert <file>', "NATS's: the certificate of the first server")
    .option('--tlskey <file>', "NATS's: its private key")
    .option('--tlscacert <file>', "NATS's: the authorities of the clients")
    .option('--tlsverify [true]', "NATS's: demand a client certificate")
    .addHelpText('after', DETAILS)
    .action(async ({ config: file, authnOpt, ...tls }: { config?: string; authnOpt: Overrides } & NatsFlags) => {
      setDefaultHighWaterMark(false, STREAM_BYTES)
      if (isWorker()) {
        serveAsWorker()
        return
      }
      const problems = checkNatsFlags(tls)
      if (problems.length > 0) fail(problems)
      else {
        const running = await run({ file, env: process.env, overrides: { ...authnOpt, ...natsOverrides(tls) } })
        // A failed start may leave something open, such as a connection to a store; that must not keep a process alive that serves nobody.
        if (!running) process.exit()
      }
    })
}

const DETAILS = `
Signals:
  SIGHUP                    read the configuration and every file that it names anew; what is broken is told, and what was in use is kept
  SIGTERM, SIGINT, SIGQUIT  fail /readyz, close the listeners, finish what is under way (shutdown.timeout), stop
  SIGUSR2                   replace the workers one by one

Environment, enough without a file; each has a twin NAME_FILE that names a file with the value, and PEM may be a path, the text or its base64:
  SALLYPORT_LISTEN                         where it listens, as 0.0.0.0:8443
  SALLYPORT_SSL_CERTIFICATE, …_KEY         what it shows to clients
  SALLYPORT_SSL_CLIENT_CERTIFICATE         the authorities of the clients
  SALLYPORT_SSL_VERIFY_CLIENT              off, optional, on or optional_no_ca
  SALLYPORT_SSL_CRL                        revocation lists
  SALLYPORT_UPSTREAM_URL                   the API, as https://api:9443
  SECRET_CLIENT_CERT, SECRET_CLIENT_KEY    what it shows to the API; SECRET_CLIENT_KEY_PASSPHRASE where the key is encrypted
  SALLYPORT_PROXY_SSL_TRUSTED_CERTIFICATE  the authorities of the API
  SALLYPORT_ADMIN_LISTEN                   where /healthz, /readyz and /metrics are, or off
docs/configuration.md has all of them.

Examples:
  sallyport run -c sallyport.yaml
  SALLYPORT_UPSTREAM_URL=https://api:9443 SALLYPORT_SSL_CERTIFICATE=server.crt SALLYPORT_SSL_CERTIFICATE_KEY=server.key \\
  SALLYPORT_SSL_CLIENT_CERTIFICATE=ca.crt SALLYPORT_SSL_VERIFY_CLIENT=on sallyport run`

/**
 * How much a stream buffers before it stops reading. Node's 64 KiB can be 64 Ki pieces where a client sends byte by byte, each of which takes more
 * than a hundred bytes. This is the size of a TLS record.
 */
const STREAM_BYTES = 16 * 1024

type Overrides = NonNullable<LoadOptions['overrides']>

function authnOption(text: string, before: Overrides): Overrides {
  const [, name, value] = /^([\w-]+)=(.*)$/s.exec(text) ?? []
  if (name === undefined || value === undefined) throw new InvalidArgumentError('expected NAME=VALUE.')
  if (name === 'certmap') return { ...before, 'listeners[0].servers[0].certmap': value.split(',') }
  return { ...before, [`docker_plugins.options.${name}`]: value }
}

/** nginx's and Kong's graceful stop is SIGQUIT, Docker's is SIGTERM. */
const STOPS = ['SIGTERM', 'SIGINT', 'SIGQUIT'] as const

/** One process, or the supervisor of several. */
export type Running = Pick<Server, 'addresses' | 'reload' | 'stop'>

/**
 * Starts a gateway that runs as long as the process. Where it cannot start, the reasons are printed and the exit status is 1.
 * @returns what runs, or undefined where it did not start
 */
export async function run(options: LoadOptions): Promise<Running | undefined> {
  const unsafe = unsafeEnvironment(options.env)
  if (unsafe.length > 0) {
    fail(unsafe)
    process.exit(1)
  }
  // Chosen once: were the default file gone for a moment, a reload would go by the environment alone, and allow what the file forbids.
  const load = { ...options, file: fileOf(options) }
  const loaded = loadConfig(load)
  const log = createLog({ level: loaded.config?.log.level ?? 'info' })
  process.on('uncaughtException', (err) => {
    log.fatal({ err }, 'unforeseen error')
    process.exit(1)
  })
  const workers = loaded.config?.workers ?? 1
  const supervisor = workers > 1 ? new Supervisor({ load, log, workers }) : undefined
  const server = supervisor ?? new Server({ load, log })
  const starting = server.start(loaded)
  obeySignals({ starting, server, supervisor, log })
  try {
    await starting
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    await log.flush()
    return fail(error.problems, loaded.warnings)
  }
  stopBySignals(server)
  return server
}

interface Commanded {
  readonly starting: Promise<void>
  readonly server: Running
  readonly supervisor: Supervisor | undefined
  readonly log: Log
}

/** Handles nginx's signals. They may come while the gateway is still starting, and would end it without a listener. */
function obeySignals({ starting, server, supervisor, log }: Commanded): void {
  const onceStarted = (act: () => unknown) => () => void starting.then(act, () => {})
  process.on(
    'SIGHUP',
    onceStarted(() => server.reload('SIGHUP')),
  )
  // A single process has no replacement; ignoring the signal is better than ending.
  process.on(
    'SIGUSR2',
    onceStarted(() => supervisor?.replaceAll()),
  )
  // Scripts that rotate nginx's logs send it. Without a listener, Node would open its debugger, and with it our keys, to everybody on this machine.
  process.on('SIGUSR1', () =>
    log.info({}, 'SIGUSR1: there is no log file to open anew, the log goes to standard output'),
  )
}

/** Drains on these signals. That needs a gateway that has started; before, bin/sallyport.js ends it. */
function stopBySignals(server: Running): void {
  let stopping = false
  for (const signal of STOPS) {
    process.on(signal, () => {
      // A second signal means that somebody does not want to wait.
      if (stopping) process.exit(1)
      stopping = true
      void server.stop().then((finished) => process.exit(finished ? 0 : 1))
    })
  }
}

function fail(problems: readonly Problem[], warnings: readonly Problem[] = []): undefined {
  const count = problems.length === 1 ? 'one problem' : `${problems.length} problems`
  process.stderr.write(`sallyport cannot start: ${count}\n`)
  for (const problem of problems) process.stderr.write(`  ${describeProblem(problem)}\n`)
  // A warning may explain it: someone who comes from Kong may have set there what is missing here.
  for (const warning of warnings) process.stderr.write(`  warning: ${describeProblem(warning)}\n`)
  process.exitCode = 1
  return undefined
}
