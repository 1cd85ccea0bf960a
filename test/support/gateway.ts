/** The real gateway: `node bin/sallyport.js run`, in a process of its own with an environment of its own, on a free port. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Child, type ChildOptions, type Exit, run, startChild } from './children.ts'
import { type Answer, type Ask, ask, begin } from './client.ts'
import { temporaryFolder } from './folder.ts'
import { openRaw, type RawAnswer, type RawConnection, type RawOptions, talk } from './raw.ts'
import { waitFor } from './wait.ts'

export const PROJECT = fileURLToPath(new URL('../..', import.meta.url))
export const PROGRAM = join(PROJECT, 'bin', 'sallyport.js')

export interface GatewayOptions {
  /** The configuration: YAML text, or an object, written as JSON, which is YAML too. None by default: the environment alone. */
  readonly config?: string | object
  readonly env?: Readonly<Record<string, string>>
  /** After `run`. */
  readonly args?: readonly string[]
  /** Where it runs; an empty folder by default, so that no conf/sallyport.yaml is found. */
  readonly cwd?: string
  /** Another copy of bin/sallyport.js. */
  readonly program?: string
  /** The limit of open files, soft and hard. */
  readonly openFiles?: number
}

/** One JSON line of the log. */
export type LogLine = Readonly<Record<string, unknown>> & { readonly msg?: string }

/** Runs any command of the program to its end. */
export function sallyport(args: readonly string[], options: ChildOptions = {}): Promise<Exit> {
  return run(process.execPath, [PROGRAM, ...args], { cwd: temporaryFolder(), ...options })
}

/** Starts a gateway and waits until it serves. Rejects with what it printed where it ends instead. */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const gateway = spawnGateway(options)
  await gateway.untilReady()
  return gateway
}

/** Starts a gateway that must not start, and returns how it ended. */
export async function refusedStart(options: GatewayOptions): Promise<Exit> {
  const gateway = spawnGateway(options)
  const listening = gateway.untilReady().then(
    () => 'listening' as const,
    () => 'ended' as const,
  )
  if ((await listening) === 'listening') throw new Error('the gateway started')
  return gateway.child.exited
}

/** Starts a gateway and does not wait for it. */
export function spawnGateway({
  config,
  env,
  args = [],
  cwd = temporaryFolder(),
  program = PROGRAM,
  openFiles,
}: GatewayOptions): Gateway {
  const file = config === undefined ? undefined : join(cwd, 'gateway.yaml')
  if (file !== undefined && config !== undefined) writeConfig(file, config)
  const chosen = file === undefined ? [] : ['-c', file]
  const own = [process.execPath, program, 'run', ...chosen, ...args]
  const [command = '', ...rest] =
    openFiles === undefined ? own : ['sh', '-c', `ulimit -n ${openFiles} && exec "$@"`, 'sh', ...own]
  const child = startChild(command, rest, { cwd, ...(env && { env }) })
  return new Gateway(child, file)
}

function writeConfig(file: string, config: string | object): void {
  writeFileSync(file, typeof config === 'string' ? config : JSON.stringify(config, undefined, 2))
}

export class Gateway {
  readonly child: Child
  readonly configFile: string | undefined
  private httpsPort: number | undefined
  private adminPort: number | undefined

  constructor(child: Child, configFile: string | undefined) {
    this.child = child
    this.configFile = configFile
  }

  get port(): number {
    if (this.httpsPort === undefined) throw new Error('the gateway does not listen yet')
    return this.httpsPort
  }

  get admin(): number {
    if (this.adminPort === undefined) throw new Error('the gateway has no admin listener')
    return this.adminPort
  }

  /** Everything that was logged, parsed. A line that is not JSON is a defect of its own and throws. */
  get log(): LogLine[] {
    const text = this.child.stdout
    const whole = text.slice(0, text.lastIndexOf('\n') + 1)
    return whole
      .split('\n')
      .filter((line) => line !== '')
      .map(parseLine)
  }

  /** The access-log line of a request, or any other line that has all of these fields. */
  logged(fields: Readonly<Record<string, unknown>>, seconds = 30): Promise<LogLine> {
    const wanted = Object.entries(fields)
    const fits = (line: LogLine) => wanted.every(([name, value]) => line[name] === value)
    return waitFor(`a log line with ${JSON.stringify(fields)}`, () => this.log.find(fits), seconds)
  }

  /** The access-log line that belongs to an answer, by the request id that the answer carries. */
  line(answer: Pick<Answer, 'text' | 'headers'>): Promise<LogLine> {
    return this.logged({ request_id: requestId(answer) })
  }

  async untilReady(): Promise<void> {
    // Each worker has such a line of its own; the supervisor's comes last.
    const up = () => !this.child.running || this.log.some(({ msg, worker }) => msg === 'ready' && worker === undefined)
    await waitFor('the gateway to be ready', up, 45)
    if (!this.child.running) {
      const { status, signal, stdout, stderr } = await this.child.exited
      throw new Error(`the gateway ended at once (${signal ?? status})\n${stderr}\n${stdout}`)
    }
    this.httpsPort = this.portOf('https')
    this.adminPort = this.portOf('admin')
    const { adminPort } = this
    if (adminPort === undefined) return
    await waitFor('readiness', async () => (await ask(adminPort, '/readyz', { plain: true })).status === 200)
  }

  private portOf(kind: string): number | undefined {
    const port = this.log.find((line) => line.msg === 'listening' && line.kind === kind)?.port
    return typeof port === 'number' ? port : undefined
  }

  get(path: string, options: Ask = {}): Promise<Answer> {
    return ask(this.port, path, options)
  }

  begin(path: string, options: Ask = {}): ReturnType<typeof begin> {
    return begin(this.port, path, options)
  }

  getAdmin(path: string): Promise<Answer> {
    return ask(this.admin, path, { plain: true })
  }

  /** Sends bytes and reads until the gateway closes. */
  talk(bytes: string, options: RawOptions = {}): Promise<readonly RawAnswer[]> {
    return talk(this.port, bytes, options)
  }

  open(options: RawOptions = {}): Promise<RawConnection> {
    return openRaw(this.port, options)
  }

  /** Writes a new configuration, if one is given, and asks for a reload. Resolves with the log line that tells how it went. */
  async reload(config?: string | object): Promise<LogLine> {
    const before = this.log.length
    if (config !== undefined && this.configFile !== undefined) writeConfig(this.configFile, config)
    this.child.process.kill('SIGHUP')
    return waitFor('the outcome of a reload', () => this.log.slice(before).find(isReloadOutcome))
  }

  stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<Exit> {
    return this.child.stop(signal)
  }

  /** The most memory that the process has ever had resident, in megabytes. */
  get peakMegabytes(): number {
    const kilobytes = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${this.child.pid}/status`, 'utf8'))?.[1]
    return Number(kilobytes) / 1024
  }
}

/** When a line was logged, in milliseconds. */
export function timeOf({ time }: LogLine): number {
  return Date.parse(String(time))
}

/** Of a reload by signal: one that the gateway makes because a file has changed may be of what stood there before. */
function isReloadOutcome({ msg, reason }: LogLine): boolean {
  return msg !== undefined && reason === 'SIGHUP' && /\breload(ed)?\b/.test(msg)
}

function parseLine(line: string): LogLine {
  try {
    return JSON.parse(line) as LogLine
  } catch {
    throw new Error(`not a JSON log line: ${line}`)
  }
}

/** The request id that an answer of the gateway's own carries: in its JSON, its HTML or a header. */
export function requestId({ text, headers }: Pick<Answer, 'text' | 'headers'>): string {
  const inHeader = headers['x-request-id']
  const inBody =
    /"request_id"\s*:\s*"([^"]+)"/.exec(text)?.[1] ?? /request id:?\s*(?:<[^>]+>)?\s*([\w-]+)/i.exec(text)?.[1]
  const id = inBody ?? (typeof inHeader === 'string' ? inHeader : undefined)
  if (id === undefined) throw new Error(`no request id in ${JSON.stringify(headers)} ${text}`)
  return id
}
