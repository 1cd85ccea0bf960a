import type { Command } from 'commander'
import { listenText, loadConfig, type RouteConfig, type ServiceConfig } from '../config/index.ts'
import { ConfigError, describeProblem, type Problem } from '../errors.ts'
import { createLog } from '../log/log.ts'
import { type CertificateInUse, createMetrics } from '../metrics/metrics.ts'
import { createLasting } from '../runtime/lasting.ts'
import { buildRuntime, type Runtime } from '../runtime/runtime.ts'
import { arrivesAs } from '../runtime/warnings/arriving-path.ts'
import { withConfigOption } from './config-option.ts'
import { print } from './print.ts'
import { unsafeEnvironment } from './unsafe-environment.ts'

export function addCheck(program: Command): void {
  withConfigOption(program.command('check'))
    .description('Say whether the gateway would start: files read, keys matched, dates shown. Exit status 0 or 1.')
    .addHelpText('after', DETAILS)
    .action(async ({ config: file }: { config?: string }) => {
      process.exitCode = (await check(file, process.env)) ? 0 : 1
    })
}

const DETAILS = `
Nothing is started and nobody is asked: it reads the configuration, the environment and every file that they name, as a start does.
Every mistake is told at once, each as FILE:LINE:COLUMN: setting: what is wrong, and what to write instead. Without one: where it would
listen, where each route leads, until when each certificate is valid, and what would be warned of.

Examples:
  sallyport check -c sallyport.yaml
  sallyport check -c sallyport.yaml && systemctl reload sallyport    # or kill -HUP PID`

async function check(file: string | undefined, env: NodeJS.ProcessEnv): Promise<boolean> {
  const loaded = loadConfig({ file, env })
  const name = loaded.file ?? 'the environment'
  const unsafe = unsafeEnvironment(env)
  let runtime: Runtime | undefined
  try {
    const log = createLog({ level: 'silent' })
    runtime = buildRuntime(loaded, createLasting(log, createMetrics()))
    await runtime.ready()
    if (unsafe.length > 0) throw new ConfigError([])
    printSummary(name, runtime)
    return true
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    printProblems(name, [...unsafe, ...error.problems], loaded.warnings)
    return false
  } finally {
    runtime?.close()
  }
}

function printSummary(name: string, { config, materials, warnings }: Runtime): void {
  const lines = [
    `${name}: the gateway would start`,
    ...config.listeners.map(({ listen, servers }) => {
      const modes = servers.map(({ server_names: names, ssl_reject_handshake: rejects, ssl_verify_client: mode }) => {
        const how = rejects ? 'ssl_reject_handshake on' : `ssl_verify_client ${mode}`
        return `${names.join(' ') || '_'} (${how})`
      })
      return `  listens on ${listenText(listen)} for ${modes.join(', ')}`
    }),
    ...config.routes.map((route) => `  route ${route.name} -> ${destinationOf(route.service)}${rewriteOf(route)}`),
    ...materials.certificatesInUse.map(
      (each) => `  ${each.role} certificate ${each.name}: ${subjectsOf(each)}, ${remaining(each.notAfter)}`,
    ),
    ...materials.crlsInUse.map(
      ({ name: issuer, nextUpdate }) => `  revocation list of ${issuer}: next update ${day(nextUpdate)}`,
    ),
    ...warnings.map((warning) => `  warning: ${describeProblem(warning)}`),
  ]
  print(`${[...new Set(lines)].join('\n')}\n`)
}

/** How many targets of a service are printed. */
const MOST_TARGETS = 3

function destinationOf({ builtin, protocol, path = '', upstream, targets }: ServiceConfig): string {
  if (builtin !== undefined) return `the gateway's own ${builtin}`
  const names = targets.slice(0, MOST_TARGETS).map(({ name }) => name)
  // nginx's form of a path after a socket's path.
  if (!upstream) return `${protocol}://${names.join()}${path && targets[0]?.socket ? ':' : ''}${path}`
  const more = targets.length - names.length
  if (more > 0) names.push(`${more} more`)
  return `${protocol}://${upstream.name}${path} (${names.join(', ') || 'no targets'})`
}

/** What becomes of a path that is stripped, as Kong's default has it: whoever comes from elsewhere expects to find it at the API. */
function rewriteOf(route: RouteConfig): string {
  const prefix = route.strip_path ? route.paths?.find((path) => /^\/./.test(path)) : undefined
  if (prefix === undefined || route.service.builtin !== undefined) return ''
  const path = `${prefix.replace(/\/$/, '')}/…`
  return `: ${path} arrives as ${arrivesAs(route, prefix, path)} (strip_path)`
}

/** Where an intermediate is missing from what is sent, this shows who would have to stand there. */
function subjectsOf({ subjects, issuer }: CertificateInUse): string {
  const chain = subjects.map((subject) => subject || '(empty subject)').join(' < ')
  return issuer === undefined ? chain : `${chain}, issued by ${issuer}`
}

function printProblems(name: string, problems: readonly Problem[], warnings: readonly Problem[]): void {
  const count = problems.length === 1 ? 'one problem' : `${problems.length} problems`
  process.stderr.write(`${name}: the gateway would not start: ${count}\n`)
  for (const problem of problems) process.stderr.write(`  ${describeProblem(problem)}\n`)
  for (const warning of warnings) process.stderr.write(`  warning: ${describeProblem(warning)}\n`)
}

function remaining(notAfter: number): string {
  const days = Math.floor((notAfter - Date.now()) / 86_400_000)
  return `valid until ${day(notAfter)} (${days < 0 ? 'expired' : `${days} days left`})`
}

function day(time: number): string {
  return new Date(time).toISOString().slice(0, 10)
}
