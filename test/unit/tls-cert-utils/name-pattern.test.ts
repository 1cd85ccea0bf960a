import { describe, expect, test } from '@jest/globals'
import { compileNamePattern } from '../../../src/tls-cert-utils/name-pattern.ts'
import { processorTime } from '../../support/processor-time.ts'
import fc from '../../support/random.ts'

const fits = (pattern: string, name: string, separator = '') =>
  compileNamePattern(pattern, separator || undefined)(name)

describe('a pattern', () => {
  test.each([
    ['ada', 'ada', ''],
    ['svc-*', 'svc-billing', ''],
    ['*@example.com', 'ada@example.com', '@'],
    ['*.example.com', 'www.example.com', '.'],
    ['**.example.com', 'a.b.example.com', '.'],
    ['spiffe://example.org/ns/*/sa/*', 'spiffe://example.org/ns/prod/sa/web', '/'],
    ['spiffe://example.org/**', 'spiffe://example.org/ns/prod', '/'],
    ['*', 'anything at all', ''],
    ['a\\*b', 'a*b', ''],
    ['a\\\\b', 'a\\b', ''],
    ['caf*', 'café', ''],
    ['*', '😀', ''],
  ])('%j fits %j', (pattern, name, separator) => {
    expect(fits(pattern, name, separator)).toBe(true)
  })

  test.each([
    ['ada', 'Ada', ''],
    ['ada', 'ada ', ''],
    ['ada', 'xada', ''],
    ['svc-*', 'svc-', ''],
    ['svc-*', 'a svc-billing', ''],
    ['*@example.com', 'ada@example.com.evil.test', '@'],
    ['*@example.com', 'ada@evil.test@example.com', '@'],
    ['*.example.com', 'a.b.example.com', '.'],
    ['*.example.com', '.example.com', '.'],
    ['*.example.com', 'wwwxexample.com', '.'],
    ['spiffe://example.org/*', 'spiffe://example.org/ns/prod', '/'],
    ['a\\*b', 'axb', ''],
    ['a.c', 'abc', ''],
    ['admin*', 'admin\0.evil.test', ''],
    ['admin*', 'admin\nX-Admin: yes', ''],
    ['*', '', ''],
  ])('%j does not fit %j', (pattern, name, separator) => {
    expect(fits(pattern, name, separator)).toBe(false)
  })

  test('means the same as the anchored expression that it stands for', () => {
    const piece = fc.constantFrom('a', 'b', '.', '*', '**')
    const name = fc.array(fc.constantFrom('a', 'b', '.'), { maxLength: 12 }).map((parts) => parts.join(''))
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 6 }), name, (pieces, value) => {
        // Three stars in a row are read as two and one.
        const pattern = pieces.join('')
        const source = pattern.replace(/\*\*?|\./g, (part) => ({ '**': '.+', '*': '[^.]+', '.': '\\.' })[part] ?? '')
        expect(fits(pattern, value, '.')).toBe(new RegExp(`^${source}$`).test(value))
      }),
    )
  })

  test('takes no time to speak of, whatever name a stranger brings', () => {
    const time = processorTime(() => {
      expect(fits('*a*a*a*a*a*a*a*b', 'a'.repeat(4096))).toBe(false)
      expect(fits('**a**a**a**a**b', 'a'.repeat(10_000_000))).toBe(false)
    })
    expect(time).toBeLessThan(2000)
  })
})
