/** A failure of a command that is no defect of ours: shown as one sentence without a stack, with exit status 1. */
export class CommandError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'CommandError'
  }
}

/** Wraps an action of the command line so that it ends with a sentence where it throws a {@link CommandError}. */
export function reporting<A extends unknown[]>(
  command: string,
  action: (...given: A) => Promise<void>,
): (...given: A) => Promise<void> {
  return async (...given) => {
    try {
      await action(...given)
    } catch (error) {
      if (!(error instanceof CommandError)) throw error
      process.stderr.write(`sallyport ${command}: ${error.message}\n`)
      process.exitCode = 1
    }
  }
}

/** Describes why the system refused a file or folder, as `is no folder (ENOTDIR)`. */
export function fileTrouble(error: unknown): string {
  if (!(error instanceof Error) || !('code' in error)) throw error
  const code = String(error.code)
  const sentences: Record<string, string> = {
    ENOENT: 'is not there',
    EACCES: 'may not be used by this user',
    EPERM: 'may not be used by this user',
    EROFS: 'is on a read-only file system',
    ENOTDIR: 'leads through something that is no folder',
    EEXIST: 'is there already',
    EISDIR: 'is a folder',
    ENOSPC: 'does not fit on the disk',
  }
  return `${sentences[code] ?? 'cannot be used'} (${code})`
}
