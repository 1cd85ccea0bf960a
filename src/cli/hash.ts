import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import type { ReadStream } from 'node:tty'
import { type Command, InvalidArgumentError } from 'commander'
import { ALGORITHMS, type Algorithm, hashPassword } from '../auth/passwords/hash.ts'
import { CommandError, reporting } from './command-error.ts'
import { print } from './print.ts'

/** Anything longer is no password but a file that was sent by mistake. */
const LONGEST = 1024

export function addHash(program: Command): void {
  program
    .command('hash')
    .description('Print the hash of a password for the configuration. It is asked for, or read from standard input.')
    .option('-a, --algorithm <name>', `one of ${ALGORITHMS.join(', ')}`, algorithmOf, 'argon2id')
    .addHelpText('after', DETAILS)
    .showHelpAfterError('(sallyport hash asks for the password, or takes the first line of standard input)')
    .action(reporting('hash', printHash))
}

const DETAILS = `
The password is not taken from the command line, where others on the machine could read it.

Examples:
  sallyport hash                              asks for the password, twice
  sallyport hash < password.txt               takes the first line
  sallyport hash --algorithm bcrypt`

async function printHash({ algorithm }: { algorithm: Algorithm }): Promise<void> {
  const password = await readPassword(process.stdin)
  if (algorithm === 'bcrypt' && Buffer.byteLength(password) > 72) {
    throw new CommandError('bcrypt hears only the first 72 bytes of a password; choose another algorithm')
  }
  print(`${hashPassword(password, algorithm)}\n`)
}

function algorithmOf(name: string): Algorithm {
  const found = ALGORITHMS.find((known) => known === name)
  if (!found) throw new InvalidArgumentError(`Known: ${ALGORITHMS.join(', ')}.`)
  return found
}

async function readPassword(input: NodeJS.ReadStream): Promise<string> {
  const password = input.isTTY ? await askTwice(input) : await readLine(input)
  if (password === '') throw new CommandError('the password is empty')
  if (Buffer.byteLength(password) > LONGEST) throw new CommandError(`the password is longer than ${LONGEST} bytes`)
  return password
}

async function askTwice(input: ReadStream): Promise<string> {
  // Set before the question is printed: otherwise a fast typist would see the first characters.
  input.setRawMode(true)
  try {
    const first = await askHidden(input, 'Password: ')
    if ((await askHidden(input, 'Again: ')) !== first) throw new CommandError('the two passwords differ')
    return first
  } finally {
    input.setRawMode(false)
    input.pause()
  }
}

/** Reads one line from a terminal without showing it. */
async function askHidden(input: ReadStream, question: string): Promise<string> {
  process.stderr.write(question)
  let typed = ''
  for await (const text of input.setEncoding('utf8').iterator({ destroyOnReturn: false })) {
    for (const key of text as string) {
      if (key === '\u0003') throw new CommandError('interrupted')
      if (key === '\r' || key === '\n' || key === '\u0004') {
        process.stderr.write('\n')
        return typed
      }
      typed = key === '\u007f' || key === '\b' ? [...typed].slice(0, -1).join('') : typed + key
    }
  }
  return typed
}

/** The first line, without its end, as `printf %s secret | sallyport hash` and `sallyport hash < file` give it. */
async function readLine(input: Readable): Promise<string> {
  for await (const line of createInterface({ input, terminal: false })) return line
  return ''
}
