import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { run } from '../support/children.ts'
import { PROJECT, sallyport } from '../support/gateway.ts'

test.each([
  [[], /^\$argon2id\$v=19\$m=19456,t=2,p=1\$\S+\n$/],
  [['-a', 'scrypt'], /^\$scrypt\$ln=15,r=8,p=3\$\S+\n$/],
  [['--algorithm', 'bcrypt'], /^\$2b\$12\$\S{53}\n$/],
  [['-a', 'sha256'], /^\$5\$rounds=50000\$\S+\n$/],
  [['-a', 'sha512'], /^\$6\$rounds=50000\$\S+\n$/],
])('hash %j', async (args, shape) => {
  const { status, stdout } = await sallyport(['hash', ...args], { input: 'secret\n' })
  expect(status).toBe(0)
  expect(stdout).toMatch(shape)
})

test('openssl verifies what it printed', async () => {
  const { stdout } = await sallyport(['hash', '-a', 'sha512'], { input: 'secret\r\nanother line\n' })
  const salt = stdout.split('$').slice(2, 4).join('$')
  expect((await run('openssl', ['passwd', '-6', '-salt', salt, 'secret'])).stdout).toBe(stdout)
})

test.each([
  ['nothing', [], '', /the password is empty/],
  ['an empty line', [], '\nsecret\n', /the password is empty/],
  ['a file', [], 'x'.repeat(5000), /longer than 1024 bytes/],
  ['more than bcrypt hears', ['-a', 'bcrypt'], 'x'.repeat(73), /first 72 bytes/],
  ['an unknown algorithm', ['-a', 'md5'], 'secret', /Known: argon2id, scrypt, bcrypt, sha256, sha512/],
])('%s is refused', async (_, args, input, message) => {
  const { status, stdout, stderr } = await sallyport(['hash', ...args], { input })
  expect([status, stdout]).toEqual([1, ''])
  expect(stderr).toMatch(message)
  expect(stderr).not.toMatch(/secret|xxx/)
})

/** Types at the program's questions in a terminal of its own, and prints all that the terminal showed. */
const TERMINAL = `
import os, pty, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], [sys.argv[1], sys.argv[2], 'hash', '-a', 'sha256'])
shown = b''
typed = [line.encode() for line in sys.argv[3:]]
while True:
    try:
        read = os.read(terminal, 1024)
    except OSError:
        break
    if not read:
        break
    shown += read
    if shown.endswith(b': ') and typed:
        os.write(terminal, typed.pop(0))
sys.stdout.write(shown.decode())
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`

test.each([
  [
    'the same twice, with a typing mistake',
    ['secretx\x7f\r', 'secret\r'],
    0,
    /Password: \r\nAgain: \r\n\$5\$rounds=50000\$\S+\r\n$/,
  ],
  ['two different ones', ['secret\r', 'secrets\r'], 1, /the two passwords differ/],
  ['Ctrl-C', ['sec\x03'], 1, /interrupted/],
])('a terminal shows nothing of what is typed: %s', async (_, typed, status, shown) => {
  const program = join(PROJECT, 'bin', 'sallyport.js')
  const ended = await run('python3', ['-c', TERMINAL, process.execPath, program, ...typed])
  expect(ended.stdout).toMatch(shown)
  expect(ended.stdout).not.toMatch(/sec(?!ond)/)
  expect(ended.status).toBe(status)
})
