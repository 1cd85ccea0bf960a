import { execFileSync } from 'node:child_process'
import { closeSync, constants, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { types } from 'node:util'
import { expect, test } from '@jest/globals'
import type { Config, CrlSource } from '../../../../src/config/index.ts'
import { RevocationFiles, readInThread } from '../../../../src/runtime/revocation/revocation-files.ts'
import { CertificateError } from '../../../../src/tls-cert-utils/certificate-error.ts'
import type { RevocationList } from '../../../../src/tls-cert-utils/revocation-list.ts'
import { temporaryFile, temporaryFolder } from '../../../support/folder.ts'
import { type Authority, authority } from '../../../support/pki.ts'

const root = authority('root')
const revoked = root.client('revoked')

async function readBy(trusted: Authority): Promise<RevocationList> {
  const file = temporaryFile('list.pem', root.crl([revoked]))
  const lists = await readInThread({ file, authorities: [trusted.certificate] })
  if (!lists || lists instanceof CertificateError || !lists[0]) throw new Error('the thread read nothing')
  return lists[0]
}

test('a thread hands the index of a list over without a copy, and without memory that V8 would stop everything for', async () => {
  const list = await readBy(root)
  expect(types.isSharedArrayBuffer(list.parts.serials.bytes.buffer)).toBe(true)
  expect(types.isSharedArrayBuffer(list.parts.serials.slots.buffer)).toBe(true)
  expect(list.revokes(revoked.serial)).toBe(true)
})

test('what its authority has signed is not kept once a thread has checked it', async () => {
  const [checked, unchecked] = [await readBy(root), await readBy(authority('other'))]
  expect(checked.parts).toMatchObject({ signed: undefined, signer: expect.any(String) })
  expect(unchecked.parts).toMatchObject({ signed: { signature: expect.any(Uint8Array) }, signer: undefined })
})

test('a file that a thread cannot read comes back as nothing, so that whoever asked reads it and says what is wrong', async () => {
  expect(await readInThread({ file: join(temporaryFolder(), 'missing.pem'), authorities: [] })).toBeUndefined()
})

test('what a thread finds wrong with a large list is told without reading the list again beside requests', async () => {
  const file = temporaryFile('list.pem', 'text before it\n'.repeat(200_000) + root.crl([revoked]).slice(0, 100))
  const files = new RevocationFiles()
  const source = { parts: [{ file }] } as unknown as CrlSource
  const server = { ssl_crl: source, ssl_verify_client: 'on', revocation_check_mode: 'STRICT' }
  const config = { listeners: [{ servers: [server] }], proxy: {}, services: [] } as unknown as Config
  await files.prepare({ config })
  const before = bytesRead()
  expect(() => files.lists(source)).toThrow(new RegExp(`${file}: .*END`))
  expect(bytesRead() - before).toBeLessThan(1_000_000)
})

/** By this process, proc(5). */
function bytesRead(): number {
  return Number(/^rchar: (\d+)$/m.exec(readFileSync('/proc/self/io', 'utf8'))?.[1])
}

test('a file that has become a pipe since it was checked holds no reload up', async () => {
  const file = join(temporaryFolder(), 'pipe')
  execFileSync('mkfifo', [file])
  const read = readInThread({ file, authorities: [] }).then(() => 'read')
  const outcome = await Promise.race([read, setTimeout(10_000, 'blocked', { ref: false })])
  // Lets go of a thread that waits.
  if (outcome === 'blocked') closeSync(openSync(file, constants.O_RDWR | constants.O_NONBLOCK))
  expect(outcome).toBe('read')
})
