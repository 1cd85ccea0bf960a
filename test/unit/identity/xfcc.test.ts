import { describe, expect, test } from '@jest/globals'
import { createXfccElement, parseXfcc } from '../../../src/identity/xfcc.ts'
import { fakeCertificate, fakeConnection } from '../../support/fake-connection.ts'
import fc from '../../support/random.ts'

const EVERYTHING = ['cert', 'chain', 'dns', 'subject', 'uri'] as const

function elementOf(facts: Parameters<typeof fakeCertificate>[0], ownUris: string[] = []): string {
  const connection = fakeConnection({ certificate: fakeCertificate(facts) })
  return createXfccElement(['uri', 'subject', 'dns'])({ connection, identity: undefined, ownUris }) ?? ''
}

const uri = (value: string) => ({ type: 'uri', value }) as const
const dns = (value: string) => ({ type: 'dns', value }) as const

/** As a reader to whom a backslash escapes whatever follows, and as one that knows `\"` alone. */
function readings(text: string): string[][] {
  return [/"(?:[^"\\]|\\.)*"|[^;,]+/g, /"(?:\\"|[^"])*"|[^;,]+/g].map((value) => {
    const pair = new RegExp(`[A-Za-z]+=(?:${value.source.split('|').slice(0, -1).join('|')}|[^;,]*)`, 'g')
    return text.match(pair) ?? []
  })
}

describe('an element', () => {
  test('in Envoy’s order', () => {
    const chain = [fakeCertificate({ escapedPem: 'issuer' })]
    const certificate = fakeCertificate({
      subject: 'CN=ada,C=DE',
      escapedPem: 'leaf',
      alternativeNames: [dns('a.test'), uri('spiffe://td/a'), dns('b.test')],
    })
    const connection = fakeConnection({ certificate, chain })
    const told = { connection, identity: undefined, ownUris: ['spiffe://td/gateway'] }
    expect(createXfccElement(EVERYTHING)(told)).toBe(
      `By=spiffe://td/gateway;Hash=${'b'.repeat(64)};Cert="leaf";Chain="leafissuer";Subject="CN=ada,C=DE";` +
        'URI=spiffe://td/a;DNS=a.test;DNS=b.test',
    )
  })

  test('URI is there even where there is none, and DNS is not', () => {
    expect(elementOf({ subject: '' })).toBe(`Hash=${'b'.repeat(64)};Subject="";URI=`)
  })

  test.each([
    ['another pair and another element', 'spiffe://td/a;By=x,Hash=y', 'URI="spiffe://td/a;By=x,Hash=y"'],
    ['the end of the quotes', 'spiffe://td/a";URI=spiffe://td/admin', 'URI="spiffe://td/a%22;URI=spiffe://td/admin"'],
    ['an escape of the closing quote', 'spiffe://td/a;\\', 'URI="spiffe://td/a;%5C"'],
    ['an escaped quote', 'spiffe://td/a\\";By=x', 'URI="spiffe://td/a%5C%22;By=x"'],
    ['an equals sign', 'https://td/?a=b', 'URI="https://td/?a=b"'],
    ['a value that ends at a space', 'spiffe://td/a b', 'URI="spiffe://td/a b"'],
    ['anything in another encoding', 'spiffe://td/é😀', 'URI=spiffe://td/%C3%A9%F0%9F%98%80'],
    ['half a character', 'spiffe://td/\ud83d', 'URI=spiffe://td/%EF%BF%BD'],
  ])('a URI cannot be read as %s', (_what, value, expected) => {
    const text = elementOf({ subject: 'CN=x', alternativeNames: [uri(value)] })
    expect(text.slice(text.indexOf('URI='))).toBe(expected)
    for (const pairs of readings(text))
      expect(pairs.map((pair) => pair.split('=')[0])).toEqual(['Hash', 'Subject', 'URI'])
    expect(parseXfcc(text)).toHaveLength(1)
  })

  test('neither can a subject', () => {
    const text = elementOf({ subject: 'CN=a\\";URI=spiffe://td/admin\\\\,O=x\\\\' })
    expect(text).toContain('Subject="CN=a\\22;URI=spiffe://td/admin\\5C,O=x\\5C"')
    for (const pairs of readings(text)) expect(pairs).toHaveLength(3)
  })

  test('no name whatever makes a second element or another pair', () => {
    const nasty = fc.string({ unit: fc.constantFrom('a', '"', '\\', ';', ',', '=', ' ', '%', 'URI=') })
    fc.assert(
      fc.property(nasty, (text) => {
        const element = elementOf({ subject: 'CN=ok', alternativeNames: [uri(text), dns(text)] })
        const [pairs, ...more] = parseXfcc(element) ?? []
        expect([pairs?.map(([key]) => key), more]).toEqual([['hash', 'subject', 'uri', 'dns'], []])
      }),
    )
  })
})

describe('reading', () => {
  test('elements, pairs, quotes', () => {
    expect(parseXfcc('By=a;Hash=b;Subject="CN=x,O=\\"y\\"";URI=, hash="c" ; DNS=d')).toEqual([
      [
        ['by', 'a'],
        ['hash', 'b'],
        ['subject', 'CN=x,O="y"'],
        ['uri', ''],
      ],
      [
        ['hash', 'c'],
        ['dns', 'd'],
      ],
    ])
  })

  test.each([
    ['nothing', ''],
    ['a pair without a key', '=x'],
    ['no pair', 'x'],
    ['an open quote', 'Hash="x'],
    ['text behind a quote', 'Hash="x"y'],
    ['a quote within a plain value', 'Hash=x"y"'],
    ['a separator at the end', 'Hash=x;'],
    ['an empty element', 'Hash=x,,Hash=y'],
    ['two pairs that nothing separates', 'Hash="x"URI=y'],
    ['a space within a plain value', 'Hash=x URI=y'],
    ['backslashes that end a quote for some readers only', 'Subject="x\\\\";URI=y"'],
    ['backslashes that end a quote for some readers only, where these read it whole', 'Subject="x\\\\";URI=y'],
  ])('refuses %s', (_what, text) => {
    expect(parseXfcc(text)).toBeUndefined()
  })

  test('of long runs of backslashes ends at once, instead of trying every way to read them', () => {
    for (const text of [`Hash="${'\\'.repeat(50_000)}`, `Hash="${'\\"'.repeat(50_000)}`, 'a=b,'.repeat(20_000)]) {
      expect(parseXfcc(text)).toBeUndefined()
    }
  })
})
