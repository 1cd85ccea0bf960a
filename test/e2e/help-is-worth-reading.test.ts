import { expect, test } from '@jest/globals'
import { sallyport } from '../support/gateway.ts'

test('--help lists every command with a sentence', async () => {
  const { status, stdout } = await sallyport(['--help'])
  expect(status).toBe(0)
  for (const command of ['run', 'check', 'certs', 'inspect', 'hash', 'demo'])
    expect(stdout).toMatch(new RegExp(`^ +${command}\\b.* [a-z]+ .*\\w`, 'm'))
})

test.each(['run', 'check', 'certs', 'inspect', 'hash', 'demo'])('%s --help explains the command', async (command) => {
  const { status, stdout } = await sallyport([command, '--help'])
  expect(status).toBe(0)
  expect(stdout).toContain(`sallyport ${command}`)
  expect(stdout.length).toBeGreaterThan(150)
})

test.each(['run', 'check', 'certs', 'inspect', 'hash', 'demo', 'registry-config'])(
  '%s --help has examples',
  async (command) => {
    expect((await sallyport([command, '--help'])).stdout).toMatch(
      new RegExp(`Examples:\\n(.*\\n)* .*sallyport ${command}`),
    )
  },
)

test('run --help tells the signals and the variables that are enough without a file', async () => {
  const { stdout } = await sallyport(['run', '--help'])
  for (const word of [
    'SIGHUP',
    'SIGTERM',
    '_FILE',
    'SALLYPORT_UPSTREAM_URL',
    'SECRET_CLIENT_KEY_PASSPHRASE',
    'SALLYPORT_SSL_CRL',
  ])
    expect(stdout).toContain(word)
})

test('--version is the version', async () => {
  expect((await sallyport(['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/)
})

test.each([[['frobnicate']], [['run', '--frobnicate']]])('%j is refused with a hint', async (args) => {
  const { status, stderr } = await sallyport(args)
  expect(status).not.toBe(0)
  expect(stderr).toMatch(/frobnicate/)
})

test.each([['run'], ['check'], ['registry-config']])('%s FILE, without -c, is told of -c', async (command) => {
  const { status, stderr } = await sallyport([command, 'sallyport.yaml'])
  expect(status).toBe(1)
  expect(stderr).toContain(`sallyport ${command} -c FILE names the configuration`)
})

test('a password on the command line of hash is answered with how it is given', async () => {
  const { status, stderr } = await sallyport(['hash', 'secret'])
  expect(status).toBe(1)
  expect(stderr).toContain('(sallyport hash asks for the password, or takes the first line of standard input)')
})

test('-c with nothing, as of a variable that is not set, is refused instead of starting from another file', async () => {
  const { status, stderr } = await sallyport(['check', '-c', ''])
  expect(status).toBe(1)
  expect(stderr).toContain("argument '' is invalid. It is empty; name a file, or leave the option out.")
})

test.each([
  [['-c', 'sallyport.yaml'], 'sallyport run -c sallyport.yaml'],
  [['--config=sallyport.yaml'], 'sallyport run --config=sallyport.yaml'],
  [['-c', 'my gateway.yaml'], "sallyport run -c 'my gateway.yaml'"],
  [['--tlscert', 'server.crt', '--tlskey', 'server.key'], 'sallyport run --tlscert server.crt --tlskey server.key'],
  [['-c', 'sallyport.yaml', 'check'], 'sallyport check -c sallyport.yaml'],
  [['-t'], 'sallyport check'],
  [['-t', '-c', 'sallyport.yaml'], 'sallyport check -c sallyport.yaml'],
])('%j, as of nginx or nats-server, is answered with the command line that works', async (args, meant) => {
  const { status, stderr } = await sallyport(args)
  expect(status).toBe(1)
  expect(stderr).toMatch(/unknown option/)
  expect(stderr).toContain(`(options follow a command: ${meant})\n`)
})

test('an option of no command is answered with where they are listed', async () => {
  expect((await sallyport(['--frobnicate'])).stderr).toContain('(sallyport --help says what there is)')
})
