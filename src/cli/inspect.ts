import { readFileSync } from 'node:fs'
import type { Command } from 'commander'
import { type LoadedConfig, loadConfig } from '../config/index.ts'
import { ConfigError, describeProblem, type Problem, visible } from '../errors.ts'
import { readCertificates } from '../tls-cert-utils/certificates.ts'
import { CertificateError } from '../tls-cert-utils/key-pair.ts'
import { pemOf } from '../tls-cert-utils/pem.ts'
import type { VerifyOptions } from '../tls-cert-utils/verify.ts'
import type { CheckResult } from './checks.ts'
import { CommandError, fileTrouble, reporting } from './command-error.ts'
import { withConfigOption } from './config-option.ts'
import type { Decision } from './decision.ts'
import { decisionReport } from './decision-report.ts'
import type { DescribedCertificate, ServerJudgement } from './inspection.ts'
import { print } from './print.ts'
import { type Question, readQuestion } from './question.ts'

interface InspectOptions {
  readonly config?: string
  readonly for?: string
  readonly header?: readonly string[]
  readonly user?: string
  readonly tag?: string
  readonly address?: string
  readonly json: boolean
}

export function addInspect(program: Command): void {
  withConfigOption(program.command('inspect'))
    .description('Show what the gateway would make of a client certificate: its facts, its verification, the headers.')
    .argument(
      '[file]',
      'the certificate, PEM or DER, with the intermediates that the client sends; - for standard input',
    )
    .option(
      '--for <request>',
      "walk the whole decision on a request, as 'GET https://api.example.com/orders'; or which rule of a registry realm grants or refuses a scope, as 'repository:team/app:pull,push'",
    )
    .option(
      '--header <line>',
      "with --for a request: a header of it, as 'apikey: …', for the route's credentials; may be repeated",
      (line: string, before: readonly string[] = []) => [...before, line],
    )
    .option(
      '--user <name>',
      'with --for: whose request it is, whatever the route asks for; or the rights of this user or robot, in place of a certificate',
    )
    .option('--tag <tag>', 'with --for a scope: judge a request at a registry gate that names this tag')
    .option('--address <ip>', 'with --for: judge a caller from this address')
    .option('--json', 'print JSON', false)
    .addHelpText('after', DETAILS)
    .action(reporting('inspect', inspect))
}

const DETAILS = `
For each server of the configuration: whether its ssl_client_certificate, ssl_crl and ssl_verify_depth accept the certificate and if not
why: the policy, each check with its result, and how to mend what is wrong; whether a request would be let in, and the headers that a
backend would get. Fields of the connection itself (protocol, cipher) are shown as for TLS 1.3.

The verdict is the gateway's own reading of the rules that OpenSSL follows, as a handshake needs the client's private key. In a handshake
OpenSSL decides; it also checks policies. A file with a private key is refused.

Exit status: 0 where at least one server would let a request in (with --for: where the request would be let in, or all actions be granted);
2 where it would be refused; 1 where that cannot be said, as the certificate or the configuration cannot be read.

Examples:
  sallyport inspect client.crt -c conf/sallyport.yaml
  SALLYPORT_SSL_VERIFY_CLIENT=on SALLYPORT_SSL_CLIENT_CERTIFICATE=ca.crt sallyport inspect client.crt
  sallyport inspect client.crt -c conf/sallyport.yaml --for 'GET https://api.example.com/orders'
  sallyport inspect --for 'GET https://api.example.com/orders' --header "apikey: $KEY"
  sallyport inspect client.crt --for 'GET https://api.example.com/orders' --user ada --address 192.0.2.1
  openssl s_client -connect example.com:443 </dev/null | sallyport inspect --json -
  sallyport inspect client.crt --for 'repository:team/app:pull,push'
  sallyport inspect --user 'robot$ci' --for 'repository:team/app:push'
  sallyport inspect --user ada --for 'repository:team/app:push' --tag v1.2 --address 192.0.2.1`

/** Certificates are small; anything larger is something else. */
const LARGEST = 1024 * 1024

async function inspect(file: string | undefined, options: InspectOptions): Promise<void> {
  const question = options.for?.includes('://') ? readQuestion(options.for, options) : undefined
  if (options.for !== undefined && !question) return inspectRights(file, options.for, options)
  checkOptions(file, question, options)
  const sent = file === undefined ? undefined : readChain(file)
  const { describeCertificate, judgeByServers } = await import('./inspection.ts')
  const certificates = (sent ?? []).map((certificate) => describeCertificate(certificate))
  const loaded = loadConfig({ file: options.config, env: process.env })
  let servers: ServerJudgement[] = []
  let decision: Decision | undefined
  let problems: readonly Problem[] = loaded.problems
  try {
    if (question) decision = await decisionOn(question, sent, loaded)
    else if (loaded.config && sent) servers = judgeByServers(sent, loaded.config, loaded.locate)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    problems = error.problems
  }
  const text = options.json
    ? json(decision ? { certificates, decision } : { certificates, servers })
    : report(file, certificates, decision ?? servers)
  print(`${text}\n`)
  process.exitCode = decision ? statusOf(decision) : statusOfAny(servers.map(({ refusal }) => refusal === undefined))
  if (problems.length === 0) return
  const lines = problems.map((problem) => `  ${describeProblem(problem)}`)
  throw new CommandError(`${loaded.file ?? 'the environment'} cannot be used to judge it:\n${lines.join('\n')}`)
}

/** The exit status for somebody who is refused: another one than where nothing can be said. */
const REFUSED = 2

function statusOf({ refusal }: Decision): number {
  if (refusal === undefined) return 0
  return refusal.code === 'GW_UNDECIDED' ? 1 : REFUSED
}

/** Without a server that judges there is nothing but facts. */
function statusOfAny(letIn: readonly boolean[]): number {
  return letIn.length === 0 || letIn.includes(true) ? 0 : REFUSED
}

function checkOptions(file: string | undefined, question: Question | undefined, options: InspectOptions): void {
  const { tag, header, user, address } = options
  if (tag !== undefined) throw new CommandError("--tag is for --for with a scope, as 'repository:team/app:pull'")
  if (question) return
  if (header || user !== undefined || address !== undefined)
    throw new CommandError("--header, --user and --address are for --for, as 'GET https://api.example.com/orders'")
  if (file === undefined) throw new CommandError('name the file of a certificate, or ask --for a request')
}

/** The rights in registries of a certificate's user, or of a user by name. */
async function inspectRights(file: string | undefined, scope: string, options: InspectOptions): Promise<void> {
  if ((file === undefined) === (options.user === undefined)) {
    throw new CommandError('--for wants the file of a certificate, or --user NAME')
  }
  const { registryRights, rightsReport } = await import('./registry-inspection.ts')
  const loaded = loadConfig({ file: options.config, env: process.env })
  const who = file === undefined ? { user: options.user ?? '' } : { sent: readChain(file) }
  const circumstances = { tag: options.tag, address: options.address }
  const found = await registryRights(loaded, who, scope, circumstances)
  const text = options.json
    ? json({ rights: found })
    : rightsReport(found, scope, circumstances).map(visible).join('\n')
  print(`${text}\n`)
  process.exitCode = statusOfAny(found.map(({ actions }) => actions.every(({ granted }) => granted)))
}

async function decisionOn(
  question: Question,
  sent: VerifyOptions['sent'] | undefined,
  loaded: LoadedConfig,
): Promise<Decision> {
  const { decideOn } = await import('./decision.ts')
  return decideOn(question, sent, loaded)
}

function readChain(file: string): VerifyOptions['sent'] {
  const name = file === '-' ? 'standard input' : file
  const content = readFile(file, name)
  const text = content.toString('latin1')
  if (/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text)) {
    throw new CommandError(`${name} holds a private key, which has no business here; give the certificate alone`)
  }
  try {
    const [first, ...others] = readCertificates(content[0] === 0x30 ? pemOf('CERTIFICATE', content) : text)
    if (first) return [first, ...others]
  } catch (error) {
    if (!(error instanceof CertificateError)) throw error
    throw new CommandError(
      `${name}: ${error.message} Expected PEM or DER; of a PKCS #12 file, "openssl pkcs12 -in FILE -nokeys" prints the certificate.`,
    )
  }
  throw new CommandError(`${name} holds no certificate`)
}

function readFile(file: string, name: string): Buffer {
  let content: Buffer
  try {
    content = readFileSync(file === '-' ? 0 : file)
  } catch (error) {
    throw new CommandError(`${name} ${fileTrouble(error)}`)
  }
  if (content.length > LARGEST)
    throw new CommandError(`${name} is larger than ${LARGEST} bytes: no client's certificate`)
  return content
}

function report(
  file: string | undefined,
  certificates: readonly DescribedCertificate[],
  judged: readonly ServerJudgement[] | Decision,
): string {
  const lines = certificates.flatMap((certificate, i) => [
    i === 0 ? `${file}: ${certificate.subject || '(empty subject)'}` : `sent with it: ${certificate.subject}`,
    ...facts(certificate),
  ])
  if (!Array.isArray(judged)) return [...lines, ...decisionReport(judged as Decision)].map(visible).join('\n')
  const servers = judged as readonly ServerJudgement[]
  const nobodyAsks = servers.length > 0 && servers.every(({ ssl_verify_client: mode }) => mode === 'off')
  const hint = nobodyAsks
    ? ['', 'No server asks for certificates: name a configuration with -c, or set SALLYPORT_SSL_VERIFY_CLIENT.']
    : []
  return [...lines, ...servers.flatMap(judgement), ...hint].map(visible).join('\n')
}

function facts(certificate: DescribedCertificate): string[] {
  const names = certificate.alternative_names.map(({ type, value }) => `${type}:${value}`)
  const validity = certificate.valid_now ? remaining(certificate.not_after) : 'NOT VALID NOW'
  const rows: [string, string][] = [
    ['issuer', certificate.issuer || '(empty)'],
    ['serial', certificate.serial],
    ['valid', `${certificate.not_before ?? 'never'} to ${certificate.not_after ?? 'never'}, ${validity}`],
    ['names', names.join(', ') || 'none'],
    ['key usage', certificate.key_usage?.join(', ') ?? 'any'],
    ['extended usage', certificate.extended_key_usage?.join(', ') ?? 'any'],
    ['authority', certificate.is_authority ? 'yes' : 'no'],
    ['SHA-256', certificate.fingerprint_sha256],
    ['SHA-1', certificate.fingerprint_sha1],
    ['key SHA-256', certificate.spki_sha256],
  ]
  return rows.map(([label, value]) => `  ${label.padEnd(16)}${value}`)
}

function remaining(notAfter: string | undefined): string {
  const days = Math.floor((Date.parse(notAfter ?? '') - Date.now()) / 86_400_000)
  return days === 1 ? '1 day left' : `${days} days left`
}

function judgement(server: ServerJudgement): string[] {
  const names = server.server_names.join(' ') || 'any name'
  const where = `${server.listen}, ${names}`
  if (server.handshake_fails === 'ssl_reject_handshake')
    return ['', `${where} (ssl_reject_handshake on)`, '  every handshake fails with the alert unrecognized_name']
  const headers = server.headers.map(([name, value]) => `    ${name}: ${value}`)
  return [
    ...['', `${where} (ssl_verify_client ${server.ssl_verify_client})`],
    ...(server.chain.length > 0 ? [`  chain: ${server.chain.map((subject) => subject || '(empty)').join(' < ')}`] : []),
    ...policy(server),
    ...server.checks.flatMap(check),
    `  ${answerOf(server)}`,
    ...headers,
  ]
}

function answerOf({ refusal, handshake_fails: setting }: ServerJudgement): string {
  if (refusal === undefined) return 'a request is let in; the backend gets'
  const refused = setting ? `the handshake fails (${setting}: reject) with` : 'a request is refused with 400'
  return `${refused} ${refusal}; the verdict would read`
}

function policy({ policy: by }: ServerJudgement): string[] {
  if (!by) return []
  const authorities = by.authorities.map((subject) => subject || '(empty)').join('; ') || 'nobody'
  return [
    `  policy: ${by.setting} trusts ${authorities}, ssl_verify_depth ${by.ssl_verify_depth}, revocation: ${by.revocation}`,
  ]
}

function check({ about, result, findings }: CheckResult): string[] {
  if (result !== 'wrong') return [`  ${result}: ${about}`]
  return findings.flatMap(({ code, subject, reason, remedy }, i) => [
    `  wrong: ${subject === undefined ? '' : `${subject || '(empty subject)'}: `}${reason} [${code}]`,
    ...(findings[i + 1]?.remedy === remedy ? [] : [`    mend: ${remedy}`]),
  ])
}

function json(value: object): string {
  return JSON.stringify(value, undefined, 2).replace(
    /[^\n\x20-\x7e]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
