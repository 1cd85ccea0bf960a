import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { describe, expect, test } from '@jest/globals'
import { openPem, PemSource } from '../../../src/config/pem.ts'
import { Secret } from '../../../src/config/secret.ts'
import { whileClosed } from '../../support/folder.ts'
import { CERTIFICATE, KEY, temporaryFolder } from './support.ts'

const folder = temporaryFolder()

function open(written: string) {
  return openPem(written, 'setting', { folders: ['/', folder], files: new Set() })
}

describe('a PEM setting', () => {
  test('takes a path, from the first folder that has it', () => {
    expect(open('server.key')).toMatchObject({ origin: 'file', file: join(folder, 'server.key'), setting: 'setting' })
    expect(open(join(folder, 'server.key')).read()).toBe(KEY)
  })

  test('takes PEM text, also with \\n for line breaks as in env files', () => {
    expect(open(KEY)).toMatchObject({ origin: 'inline', file: undefined })
    expect(open(KEY.trim().replaceAll('\n', '\\n')).read()).toBe(KEY.trim())
    expect(open(KEY.trim().replaceAll('\n', '\\r\\n')).read()).toBe(KEY.trim())
  })

  test('takes each of them also with quotes or blanks round it, as env files and secrets made of echo hand them on', () => {
    const oneLine = KEY.trim().replaceAll('\n', '\\n')
    for (const [before, after] of [
      ['"', '"'],
      ["'", "'"],
      [' ', '\n'],
      ['"', '\\n"'],
    ]) {
      expect(open(`${before}${oneLine}${after}`).read().trim()).toBe(KEY.trim())
      expect(open(`${before}${Buffer.from(KEY).toString('base64')}${after}`).read()).toBe(KEY)
    }
    expect(open('"server.key"').read()).toBe(KEY)
    expect(open('server.key \n').read()).toBe(KEY)
  })

  test('takes a file that holds PEM with \\n for line breaks', () => {
    writeFileSync(join(folder, 'one-line'), `${KEY.trim().replaceAll('\n', '\\n')}\n`)
    expect(open('one-line').read().trim()).toBe(KEY.trim())
  })

  test('takes base64 and base64url of PEM, with line breaks', () => {
    const base64 = Buffer.from(KEY).toString('base64')
    expect(open(base64)).toMatchObject({ origin: 'base64' })
    expect(open(base64.replace(/.{20}/g, '$&\n')).read()).toBe(KEY)
    expect(open(Buffer.from(`${KEY}?>?>?>`).toString('base64url')).read()).toContain(KEY)
  })

  test('takes a file that holds base64 of PEM', () => {
    writeFileSync(join(folder, 'base64'), Buffer.from(KEY).toString('base64'))
    expect(open('base64').read()).toBe(KEY)
  })

  test('refuses DER, a folder, a device and a file without PEM, naming the path', () => {
    mkdirSync(join(folder, 'folder'))
    writeFileSync(join(folder, 'text.pem'), 'nothing')
    expect(() => open('ca.crl')).toThrow(`names ${join(folder, 'ca.crl')}, which is DER`)
    expect(() => open('text.pem')).toThrow('which holds no PEM')
    expect(() => open('folder')).toThrow('names a folder')
    expect(() => open('/dev/zero')).toThrow('is no file')
  })

  test.each([
    ['nothing', [], 'is empty'],
    ['UTF-16', [...Buffer.from('\ufeff-----BEGIN', 'utf16le')], 'is UTF-16; save it as UTF-8'],
    [
      'a certificate in DER',
      [0x30, 0x82, 1, 0, 0x30, 0x81, 0x80],
      'is DER; make PEM of a certificate with: openssl x509',
    ],
    ['a key in DER', [0x30, 0x45, 2, 1, 0], 'is a private key in DER; make PEM of it with: openssl pkey'],
    ['PKCS #12', [0x30, 0x82, 9, 9, 2, 1, 3, 0x30], 'is PKCS #12; make PEM of it with: openssl pkcs12'],
    ['one byte of DER', [0x30], 'is DER'],
    [
      'PKCS #7',
      [0x30, 0x82, 9, 9, 6, 9],
      'is PKCS #7 in DER; make PEM of the certificates with: openssl pkcs7 -inform der',
    ],
    ['a Java keystore', [0xfe, 0xed, 0xfe, 0xed], 'is a Java keystore; make PKCS #12 of it with keytool'],
  ])('that names a file with %s says so, and how to make PEM of it', (_what, bytes, message) => {
    writeFileSync(join(folder, 'no.pem'), Buffer.from(bytes))
    expect(() => open('no.pem')).toThrow(`names ${join(folder, 'no.pem')}, which ${message}`)
  })

  test.each([
    ['~/server.crt', '; ~ stands for itself: write the whole path'],
    ['/etc/ssl/$ssl_server_name.crt', '{NAME} for a variable of the environment'],
    ['$HOME/server.crt', '{NAME} for a variable of the environment'],
  ])('%s is answered with what is not expanded here', (written, told) => {
    expect(() => open(written)).toThrow(told)
  })

  test('that names no file says where it was looked for', () => {
    expect(() => open('certs/missing.crt')).toThrow(
      `names no readable file (looked for /certs/missing.crt and ${folder}/certs/missing.crt)`,
    )
  })

  test.each([
    ['a key that lost its first line', 'MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgcGFzc3dvcmQ='],
    ['base64 of something else', Buffer.from('hello secret').toString('base64')],
    ['text', 'hunter2 hunter2'],
    ['a NUL', 'hunter2\0'],
    ['a very long line', 'hunter2'.repeat(10_000)],
  ])('that is no PEM is never repeated: %s', (_what, written) => {
    let message = ''
    try {
      open(written)
    } catch (error) {
      message = String(error)
    }
    expect(message).toContain('names no readable file and is no PEM')
    expect(message).not.toContain(written.slice(0, 6))
    expect(() =>
      whileClosed(folder, () => openPem(written, 'setting', { folders: [folder], files: new Set() })),
    ).toThrow(/^names no (?!.*hunter2)(?!.*MIGH)(?!.*aGVs)/)
  })

  test('is read as base64 also where the folder that it was started in is closed to it', () => {
    const base64 = Buffer.from(KEY).toString('base64')
    expect(whileClosed(folder, () => open(base64).read())).toBe(KEY)
  })

  test('whose folder is closed is watched, as it may be opened later', () => {
    const files = new Set<string>()
    const open = () => openPem('server.key', 'setting', { folders: [folder], files })
    expect(() => whileClosed(folder, open)).toThrow(`names ${join(folder, 'server.key')}, which this user may not read`)
    expect([...files]).toEqual([join(folder, 'server.key')])
  })
})

test('neither a passphrase nor PEM text shows when it is printed', () => {
  const pem = new PemSource('x', 'inline', KEY)
  for (const value of [new Secret('c2VjcmV0a2V5'), pem]) {
    for (const text of [
      inspect(value, { showHidden: true, depth: 9 }),
      JSON.stringify({ value }),
      `${value}`,
      JSON.stringify(Object.entries(value)),
    ]) {
      expect(text).not.toContain('c2VjcmV0a2V5')
    }
  }
  expect(pem.read()).toBe(KEY)
  expect(new Secret('x').reveal()).toBe('x')
  expect(open(CERTIFICATE).toString()).toBe('(inline)')
})
