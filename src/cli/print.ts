let isWatched = false

/**
 * Prints what a command has to say. Where standard output does not take it, the command has failed, whatever it found. A gateway is no such command:
 * it serves on without its log (src/log/standard-output.ts).
 */
export function print(text: string): void {
  if (!isWatched) watch()
  process.stdout.write(text)
}

function watch(): void {
  isWatched = true
  let failure: NodeJS.ErrnoException | undefined
  // Without a listener, Node ends the process with a stack trace.
  process.stdout.on('error', (error) => {
    failure ??= error
  })
  // Told at the end: a command sets its own status behind what it prints, and --help leaves no time for the event.
  process.on('exit', () => {
    failure ??= process.stdout.errored ?? undefined
    if (failure) fail(failure)
  })
}

function fail({ code, message }: NodeJS.ErrnoException): void {
  process.exitCode = 1
  // A reader that leaves, as `head` does, has what it wanted.
  if (code !== 'EPIPE') process.stderr.write(`sallyport: standard output cannot be written: ${message}\n`)
}
