import { execFileSync } from 'node:child_process'
import { closeSync, constants, openSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { types } from 'node:util'
import { expect, test } from '@jest/globals'
import { readInThread } from '../../../src/runtime/revocation-files.ts'
import { RevocationList } from '../../../src/tls-cert-utils/revocation-list.ts'
import { temporaryFile, temporaryFolder } from '../../support/folder.ts'
import { authority } from '../../support/pki.ts'

const root = authority('root')
const revoked = root.client('revoked')

test('a thread hands the index of a list over without a copy, and without memory that V8 would stop everything for', async () => {
  const file = temporaryFile('list.pem', root.crl([revoked]))
  const [parts] = (await readInThread({ file, authorities: [root.certificate] })) ?? []
  if (!parts) throw new Error('the thread read nothing')
  expect(types.isSharedArrayBuffer(parts.serials.bytes.buffer)).toBe(true)
  expect(types.isSharedArrayBuffer(parts.serials.slots.buffer)).toBe(true)
  expect(RevocationList.fromParts(parts).revokes(revoked.serial)).toBe(true)
})

test('what its authority has signed is not kept once a thread has checked it', async () => {
  const file = temporaryFile('list.pem', root.crl([revoked]))
  const [checked] = (await readInThread({ file, authorities: [root.certificate] })) ?? []
  const [unchecked] = (await readInThread({ file, authorities: [authority('other').certificate] })) ?? []
  expect(checked).toMatchObject({ signed: undefined, signer: expect.any(String) })
  expect(unchecked).toMatchObject({ signed: { signature: expect.any(Uint8Array) }, signer: undefined })
})

test('a file that cannot be read comes back as nothing, so that whoever asked reads it and says what is wrong', async () => {
  expect(await readInThread({ file: temporaryFile('list.pem', 'no list'), authorities: [] })).toBeUndefined()
})

test('a file that has become a pipe since it was checked holds no reload up', async () => {
  const file = join(temporaryFolder(), 'pipe')
  execFileSync('mkfifo', [file])
  const read = readInThread({ file, authorities: [] }).then(() => 'read')
  const outcome = await Promise.race([read, setTimeout(10_000, 'blocked', { ref: false })])
  // Lets go of a thread that waits.
  if (outcome === 'blocked') closeSync(openSync(file, constants.O_RDWR | constants.O_NONBLOCK))
  expect(outcome).toBe('read')
})
