import { X509Certificate } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from '@jest/globals'
import { run } from '../support/children.ts'
import { temporaryFolder } from '../support/folder.ts'
import { sallyport } from '../support/gateway.ts'
import { describeWith } from '../support/peers.ts'

const folder = join(temporaryFolder(), 'certs')

beforeAll(async () => {
  expect((await sallyport(['certs', folder])).status).toBe(0)
})

const files = () =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => statSync(join(folder, name)).isFile())
const read = (name: string) => readFileSync(join(folder, name), 'utf8')
const certificates = () => files().filter((name) => read(name).includes('BEGIN CERTIFICATE'))
const keys = () => files().filter((name) => read(name).includes('PRIVATE KEY'))

test('certificates, keys and a CRL', () => {
  expect(certificates().length).toBeGreaterThanOrEqual(3)
  expect(keys().length).toBeGreaterThanOrEqual(3)
  expect(files().some((name) => read(name).includes('BEGIN X509 CRL'))).toBe(true)
})

test('keys that only their owner can read', () => {
  for (const name of keys()) expect([name, statSync(join(folder, name)).mode & 0o077]).toEqual([name, 0])
})

test('a certificate for localhost, one for a client, and valid today', () => {
  const all = certificates().map((name) => new X509Certificate(read(name)))
  expect(all.some((certificate) => certificate.checkHost('localhost'))).toBe(true)
  expect(all.some((certificate) => certificate.keyUsage?.includes('1.3.6.1.5.5.7.3.2'))).toBe(true)
  for (const certificate of all) expect(certificate.validToDate.getTime()).toBeGreaterThan(Date.now())
})

test('a second call changes nothing that is there', async () => {
  const before = files().map((name) => [name, read(name)])
  const { status } = await sallyport(['certs', folder])
  expect(files().map((name) => [name, read(name)])).toEqual(before)
  expect([0, 1]).toContain(status)
})

test('--force makes everything anew', async () => {
  const again = join(temporaryFolder(), 'again')
  await sallyport(['certs', again])
  const before = readFileSync(join(again, 'ca.crt'), 'utf8')
  expect((await sallyport(['certs', again, '--force'])).status).toBe(0)
  expect(readFileSync(join(again, 'ca.crt'), 'utf8')).not.toBe(before)
})

test('--name adds a client of the same authority, --days bounds its life', async () => {
  const { status, stdout } = await sallyport(['certs', folder, '--name', 'bob', '--days', '7'])
  expect(status).toBe(0)
  expect(stdout).toMatch(/made +bob\.crt/)
  expect(stdout).toMatch(/kept +client\.crt/)
  const bob = new X509Certificate(read('bob.crt'))
  expect(bob.subject).toBe('CN=bob')
  expect(bob.checkIssued(new X509Certificate(read('ca.crt')))).toBe(true)
  const days = (bob.validToDate.getTime() - Date.now()) / 86_400_000
  expect(days).toBeGreaterThan(6)
  expect(days).toBeLessThan(8)
})

test.each([
  ['../evil', 'names a file'],
  ['ca', 'another name'],
])('--name %s is refused', async (name, reason) => {
  const { status, stderr } = await sallyport(['certs', folder, '--name', name])
  expect(status).toBe(1)
  expect(stderr).toContain(reason)
})

test('half a pair, and a key of another authority, are told and nothing is overwritten', async () => {
  const broken = join(temporaryFolder(), 'broken')
  await sallyport(['certs', broken])
  const foreign = read('ca.key')
  writeFileSync(join(broken, 'ca.key'), foreign)
  const mismatch = await sallyport(['certs', broken])
  expect([mismatch.status, mismatch.stderr]).toEqual([1, expect.stringContaining('ca.key is no key of ca.crt')])
  expect(readFileSync(join(broken, 'ca.key'), 'utf8')).toBe(foreign)
  rmSync(join(broken, 'ca.key'))
  const half = await sallyport(['certs', broken])
  expect([half.status, half.stderr]).toEqual([1, expect.stringContaining('without ca.key')])
})

test('no private key is printed', async () => {
  const { stdout, stderr } = await sallyport(['certs', join(temporaryFolder(), 'quiet')])
  expect(stdout + stderr).not.toContain('PRIVATE KEY')
})

test.each(['/dev/null/certs', '/proc/certs/here', '/proc/version'])(
  'a folder that cannot be written is told in a sentence: %s',
  async (place) => {
    const { status, stderr } = await sallyport(['certs', place])
    expect([status, stderr]).toEqual([1, expect.stringMatching(/^sallyport certs: \/\S+ .*\((ENOENT|ENOTDIR)\)\n$/)])
  },
)

test('folders above it are made too, for their owner alone', async () => {
  const above = join(temporaryFolder(), 'a')
  expect((await sallyport(['certs', join(above, 'b')])).status).toBe(0)
  for (const made of [above, join(above, 'b')]) expect(statSync(made).mode & 0o777).toBe(0o700)
})

describeWith(['openssl'], 'OpenSSL finds nothing to complain about', () => {
  test('in strict mode', async () => {
    const authorities = certificates().filter((name) => new X509Certificate(read(name)).ca)
    const bundle = authorities.flatMap((name) => ['-CAfile', join(folder, name)]).slice(0, 2)
    const leaves = certificates().filter((name) => !authorities.includes(name))
    expect(existsSync(join(folder, leaves[0] ?? ''))).toBe(true)
    for (const name of leaves) {
      const { status, stdout, stderr } = await run('openssl', ['verify', '-x509_strict', ...bundle, join(folder, name)])
      expect([name, status, status === 0 ? '' : stdout + stderr]).toEqual([name, 0, ''])
    }
  })
})
