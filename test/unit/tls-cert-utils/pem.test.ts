import { describe, expect, test } from '@jest/globals'
import { createAuthority } from '../../../src/tls-cert-utils/development-pki.ts'
import { PemError, pemOf, readPemBlocks } from '../../../src/tls-cert-utils/pem.ts'
import { processorTime } from '../../support/processor-time.ts'
import { openssl } from './openssl.ts'

const A = pemOf('CERTIFICATE', Buffer.from('a'.repeat(100)))
const B = pemOf('X509 CRL', Buffer.from('b'))

describe('readPemBlocks', () => {
  test('reads every block, in order, past any text between them', () => {
    const blocks = readPemBlocks(`Bag Attributes: x\n${A}\n# comment\n----\n${B}the end`)
    expect(blocks.map(({ label, der, text }) => [label, der.toString(), text])).toEqual([
      ['CERTIFICATE', 'a'.repeat(100), A],
      ['X509 CRL', 'b', B],
    ])
  })

  test('takes CRLF, CR, a byte order mark, indentation, long lines and a missing last line end', () => {
    const expected = readPemBlocks(A + B)
    const indented = (A + B).replace(/^/gm, '  ')
    const oneLine = A.replace(/(?<=[A-Za-z0-9+/=])\n(?=[A-Za-z0-9+/=])/g, '') + B
    for (const text of [
      (A + B).replaceAll('\n', '\r\n'),
      (A + B).replaceAll('\n', '\r'),
      `\ufeff${A}${B}`,
      indented,
      oneLine,
      (A + B).trimEnd(),
    ]) {
      expect(readPemBlocks(text)).toEqual(expected)
    }
  })

  test('has nothing for a text without blocks', () => {
    expect(readPemBlocks('')).toEqual([])
    expect(readPemBlocks('no PEM here')).toEqual([])
  })

  test.each([
    ['has no END line', A.replace(/-----END.*\n/, '')],
    ['has no END line before the next one begins', A.replace(/-----END.*\n/, '') + B],
    ['ends with another label', A.replace('END CERTIFICATE', 'END X509 CRL')],
    ['has an END line without BEGIN', A.replace(/-----BEGIN.*\n/, '')],
    ['has a damaged BEGIN line', A.replace('-----BEGIN', '----- BEGIN')],
    ['holds what is not base64', A.replace('YWFh', 'Y!Fh')],
    ['lacks a character', A.replace('YWFh', 'YWF')],
    ['is empty', '-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n'],
    ['has padding in the middle', A.replace('YWFhYWFh', 'YW==YWFh')],
  ])('refuses a block that %s', (_, text) => {
    expect(() => readPemBlocks(text)).toThrow(PemError)
  })

  test('names the line, never the content', () => {
    expect(() => readPemBlocks(`one\ntwo\n${A.replace('YWFh', 'Y!Fh')}`)).toThrow(/line 3/)
    expect(() => readPemBlocks(A.replace('YWFh', 'Y!Fh'))).not.toThrow(/YWFh/)
  })

  test('strips what openssl adds to a trusted certificate', async () => {
    const { pem, der } = await createAuthority()
    const trusted = openssl(['x509', '-trustout', '-addtrust', 'clientAuth', '-setalias', 'mine'], pem)
    expect(trusted).toContain('BEGIN TRUSTED CERTIFICATE')
    expect(readPemBlocks(trusted)).toEqual([{ label: 'CERTIFICATE', der, text: pem }])
  })

  test('keeps the headers of a legacy encrypted key and decodes nothing of it', async () => {
    const { keyPem } = await createAuthority({ keyAlgorithm: 'rsa' })
    const legacy = openssl(['rsa', '-traditional', '-aes128', '-passout', 'pass:secret'], keyPem)
    const [block] = readPemBlocks(legacy.replaceAll('\n', '\r\n'))
    expect(block?.text).toBe(legacy)
    expect(block?.der).toHaveLength(0)
  })

  test('reads ten thousand blocks in well under a second', () => {
    const many = A.repeat(10_000)
    expect(processorTime(() => expect(readPemBlocks(many)).toHaveLength(10_000))).toBeLessThan(2000)
  })
})
