import { type Command, InvalidArgumentError } from 'commander'

/** Adds `-c FILE`, with a hint for those who forget the -c. */
export function withConfigOption(command: Command): Command {
  const name = command.name()
  return command
    .option(
      '-c, --config <file>',
      'the configuration (default: SALLYPORT_CONFIG, else conf/sallyport.yaml if it is there)',
      nameOfFile,
    )
    .showHelpAfterError(
      `(sallyport ${name} -c FILE names the configuration, sallyport ${name} --help says what there is)`,
    )
}

/** Refuses an empty name: `-c "$FILE"` with an unset variable must not start with another file. */
function nameOfFile(written: string): string {
  if (written === '') throw new InvalidArgumentError('It is empty; name a file, or leave the option out.')
  return written
}
