/**
 * Processes that tests start. Every one is killed when its test file ends, also when a test failed, and also when jest itself is killed:
 * a small shell then sees the end of its input and kills what is left.
 */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { afterAll } from '@jest/globals'

export interface Exit {
  readonly status: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface ChildOptions {
  readonly cwd?: string
  /** The whole environment, PATH apart: nothing of ours leaks in, so that "from the environment alone" means what it says. */
  readonly env?: Readonly<Record<string, string>>
  readonly input?: string | Buffer
  /** Standard input stays open, for the test to write to `process.stdin`. */
  readonly interactive?: boolean
}

/** A running process and what it has printed so far. */
export class Child {
  readonly process: ChildProcessWithoutNullStreams
  readonly exited: Promise<Exit>
  stdout = ''
  stderr = ''

  constructor(command: string, args: readonly string[], options: ChildOptions) {
    const env = { PATH: `${process.env.PATH}:/usr/sbin`, ...options.env }
    this.process = spawn(command, args, { env, cwd: options.cwd, stdio: 'pipe' })
    this.process.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text
    })
    this.process.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text
    })
    this.process.stdin.on('error', () => {})
    if (!options.interactive) this.process.stdin.end(options.input)
    this.exited = new Promise((resolve, reject) => {
      this.process.once('error', reject)
      this.process.once('close', (status, signal) => {
        resolve({ status, signal, stdout: this.stdout, stderr: this.stderr })
      })
    })
    this.exited.catch(() => {})
  }

  get pid(): number {
    if (this.process.pid === undefined) throw new Error('the process did not start')
    return this.process.pid
  }

  get running(): boolean {
    return this.process.exitCode === null && this.process.signalCode === null
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<Exit> {
    if (this.running) this.process.kill(signal)
    return this.exited
  }
}

const children = new Set<Child>()

export function startChild(command: string, args: readonly string[], options: ChildOptions = {}): Child {
  const child = new Child(command, args, options)
  if (child.process.pid === undefined) return child
  children.add(child)
  watch('+', child.pid)
  child.process.once('exit', () => {
    children.delete(child)
    watch('-', child.pid)
  })
  return child
}

/** Runs a command until it ends; never rejects for its exit status. */
export function run(command: string, args: readonly string[], options: ChildOptions = {}): Promise<Exit> {
  return startChild(command, args, options).exited
}

afterAll(async () => {
  const left = [...children]
  await Promise.all(left.map((child) => child.stop('SIGKILL')))
  watchdog?.stdin.end()
})

const WATCHDOG = `
while read -r sign pid; do
  case "$sign" in
    +) pids="$pids $pid" ;;
    -) kept=; for p in $pids; do [ "$p" = "$pid" ] || kept="$kept $p"; done; pids=$kept ;;
  esac
done
[ -z "$pids" ] || kill -9 $pids`

let watchdog: ChildProcessWithoutNullStreams | undefined

function watch(sign: '+' | '-', pid: number): void {
  watchdog ??= startWatchdog()
  watchdog.stdin.write(`${sign} ${pid}\n`)
}

function startWatchdog(): ChildProcessWithoutNullStreams {
  // A group of its own, so that the Ctrl-C that ends jest does not end it first.
  const shell = spawn('sh', ['-c', WATCHDOG], { stdio: 'pipe', detached: true })
  shell.stdin.on('error', () => {})
  shell.unref()
  return shell
}
