import type { Command } from 'commander'

/**
 * The command line that works, for whoever begins with an option of a command, as with nginx or nats-server; undefined for anything else.
 * @param args without the program itself
 */
export function withCommandFirst(program: Command, args: readonly string[]): string | undefined {
  // As of nginx, to test a configuration.
  if (args[0] === '-t') return ['sallyport check', ...args.slice(1).map(quoted)].join(' ')
  const named = program.commands.find((command) => args.includes(command.name()))
  const command = named ?? program.commands.find((each) => each.name() === 'run')
  const [first = ''] = args
  if (!command?.options.some(({ short, long }) => isWrittenAs(first, short, long))) return undefined
  const name = command.name()
  const others = args.filter((_arg, i) => i !== args.indexOf(name)).map(quoted)
  return ['sallyport', name, ...others].join(' ')
}

function isWrittenAs(arg: string, short: string | undefined, long: string | undefined): boolean {
  if (arg.startsWith('--')) return arg.split('=')[0] === long
  return short !== undefined && arg.startsWith(short)
}

/** As a shell takes it. */
function quoted(arg: string): string {
  return /^[\w./=:,@%+-]+$/.test(arg) ? arg : `'${arg.replaceAll("'", "'\\''")}'`
}
