import { describe, expect, test } from '@jest/globals'
import { PemError, readPemBlocks } from '../../../src/tls-cert-utils/pem.ts'
import { readPemBytes } from '../../../src/tls-cert-utils/pem-bytes.ts'
import fc from '../../support/random.ts'

const LABEL = 'X509 CRL'
const ofBytes = (text: string) => outcome(() => readPemBytes(Buffer.from(text, 'latin1'), LABEL))
const ofText = (text: string) =>
  outcome(() => readPemBlocks(text).flatMap(({ label, der }) => (label === LABEL ? [der] : [])))

function outcome(read: () => Buffer[]): string[] | 'refused' {
  try {
    return read().map((der) => der.toString('hex'))
  } catch (error) {
    if (!(error instanceof PemError)) throw error
    return 'refused'
  }
}

const lineEnd = fc.constantFrom('\n', '\r\n', '\r', '\n\n')
const base64 = fc.uint8Array({ minLength: 1, maxLength: 200 }).map((bytes) => Buffer.from(bytes).toString('base64'))
const body = fc
  .tuple(base64, fc.integer({ min: 1, max: 70 }), lineEnd)
  .map(([text, width, end]) => text.replace(new RegExp(`.{${width}}`, 'g'), `$&${end}`))
const block = fc
  .tuple(fc.constantFrom(LABEL, 'CERTIFICATE'), body, lineEnd)
  .map(([label, text, end]) => `-----BEGIN ${label}-----${end}${text}${end}-----END ${label}-----${end}`)
const bundle = fc.array(fc.oneof(block, fc.constantFrom('a remark\n', 'with ----- in it\n', '')), { maxLength: 5 })

describe('PEM as bytes', () => {
  test('is read as PEM as text is', () => {
    fc.assert(
      fc.property(bundle, (parts) => {
        expect(ofBytes(parts.join(''))).toEqual(ofText(parts.join('')))
      }),
    )
  })

  test('is refused where PEM as text is, whatever one character has become', () => {
    fc.assert(
      fc.property(
        block.filter((text) => text.includes(LABEL)),
        fc.nat(),
        fc.constantFrom('', '=', '-', '!', 'A', '\n'),
        (whole, at, character) => {
          const start = whole.indexOf(LABEL) + LABEL.length
          const place = start + (at % (whole.length - start))
          const damaged = whole.slice(0, place) + character + whole.slice(place + 1)
          expect(ofBytes(damaged)).toEqual(ofText(damaged))
        },
      ),
      { numRuns: 500 },
    )
  })

  test.each([
    ['no END line', '-----BEGIN X509 CRL-----\nAAAA\n'],
    ['an END line of another label', '-----BEGIN X509 CRL-----\nAAAA\n-----END CERTIFICATE-----\n'],
    ['a lone END line', '-----END X509 CRL-----\n'],
    ['an empty block', '-----BEGIN X509 CRL-----\n-----END X509 CRL-----\n'],
    ['padding within', '-----BEGIN X509 CRL-----\nAA==\nAAAA\n-----END X509 CRL-----\n'],
    ['a group that is cut off', '-----BEGIN X509 CRL-----\nAAAAA\n-----END X509 CRL-----\n'],
  ])('with %s is refused', (_what, text) => {
    expect(ofBytes(text)).toBe('refused')
  })

  test('of thirty megabytes is no trouble, as text neither', () => {
    const text = `-----BEGIN X509 CRL-----\n${'A'.repeat(63)}\n`.concat(`${'A'.repeat(64)}\n`.repeat(460_000))
    const whole = `${text}A\n-----END X509 CRL-----\n`
    expect(readPemBytes(Buffer.from(whole), LABEL)[0]).toHaveLength(22_080_048)
    expect(readPemBlocks(whole)[0]?.der).toHaveLength(22_080_048)
  })
})
