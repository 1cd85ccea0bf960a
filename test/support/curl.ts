/** The real curl. */
import { type ChildOptions, type Exit, run } from './children.ts'

/** Runs curl, silent but for errors. */
export function curl(args: readonly string[], options: ChildOptions = {}): Promise<Exit> {
  return run('curl', ['--silent', '--show-error', '--max-time', '20', ...args], options)
}
