import { type Command, InvalidArgumentError } from 'commander'

/** `-c FILE`; who forgets the -c is told of it. */
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

/** `-c "$FILE"` with a variable that is not set must not start what stands in another file. */
function nameOfFile(written: string): string {
  if (written === '') throw new InvalidArgumentError('It is empty; name a file, or leave the option out.')
  return written
}
