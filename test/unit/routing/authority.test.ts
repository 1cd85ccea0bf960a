import { describe, expect, test } from '@jest/globals'
import { parseAuthority, sameAuthority } from '../../../src/routing/authority.ts'
import { refusalOf } from './refusal.ts'

describe('a Host is taken as nginx takes it', () => {
  test.each([
    ['www.abcd-ef.g02.xyz', 'www.abcd-ef.g02.xyz', undefined],
    ['abcd-ef.g02.xyz:8080', 'abcd-ef.g02.xyz', 8080],
    ['www.abcd-ef.g02.xyz.', 'www.abcd-ef.g02.xyz', undefined],
    ['abcd-ef.g02.xyz.:88', 'abcd-ef.g02.xyz', 88],
    ['AbC-d93.0.34ZhGt-s.nk.Ru:88', 'abc-d93.0.34zhgt-s.nk.ru', 88],
    ['under_score.example', 'under_score.example', undefined],
    ['localhost:65535', 'localhost', 65535],
    ['123.40.56.78', '123.40.56.78', undefined],
    ['123.49.0.78:987', '123.49.0.78', 987],
    ['[abcd::EF98:0:7654:321]', '[abcd::ef98:0:7654:321]', undefined],
    ['[abcd::ef98:0:7654:321]:80', '[abcd::ef98:0:7654:321]', 80],
    ['[::ffff:12.30.67.89]:4321', '[::ffff:12.30.67.89]', 4321],
    [`${'a'.repeat(63)}.${'b'.repeat(191)}`, `${'a'.repeat(63)}.${'b'.repeat(191)}`, undefined],
  ])('%s', (text, host, port) => {
    expect(parseAuthority(text)).toEqual({ host, port })
    expect(parseAuthority(text)).toEqual({ host, port })
  })
})

describe('a Host is refused that another reader could take for another place', () => {
  test.each([
    ['userinfo', 'user@example.com'],
    ['userinfo with password', 'a:b@example.com'],
    ['empty', ''],
    ['a dot only', '.'],
    ['a port only', ':443'],
    ['inner blank', 'exa mple.com'],
    ['leading blank', ' example.com'],
    ['trailing tab', 'example.com\t'],
    ['two hosts', 'a.example, b.example'],
    ['two ports', '123.40.56.78:9000:80'],
    ['port 0', 'example.com:0'],
    ['leading zero in port', 'example.com:080'],
    ['port above 65535', 'example.com:65536'],
    ['long port', 'example.com:123456'],
    ['no decimal port', 'example.com:8a'],
    ['signed port', 'example.com:+80'],
    ['stray colon', 'example.com:'],
    ['leading dots', '..examp-LE.com'],
    ['one leading dot', '.example.com'],
    ['trailing dots', 'example.com..'],
    ['inner dots', 'a..b'],
    ['slash', 'example.com/x'],
    ['backslash', 'example.com\\x'],
    ['slash and port', 'example.com/\\:552'],
    ['query', 'example.com?x'],
    ['fragment', 'example.com#x'],
    ['percent', 'ex%61mple.com'],
    ['NUL', 'example.com\0'],
    ['control', 'localhost\x02'],
    ['line break', 'localhost\nHost: again'],
    ['non-ASCII byte', 'ex\xe4mple.com'],
    ['Kelvin sign, which lower-cases to k', '\u212aong.example'],
    ['sub-delimiters', 'a!b.example'],
    ['star', '*.example.com'],
    ['IPv6 without brackets', '::1'],
    ['unclosed IPv6', '[::1'],
    ['unopened IPv6', '::1]'],
    ['empty IPv6', '[]'],
    ['IPv6 with ten groups', '[1:2:3:4:5:6:7:8:9:a]'],
    ['IPv6 with double dot', '[ab..cd::ef98:0:7654:321]'],
    ['IPv6 with zone', '[fe80::1%eth0]'],
    ['IPv4 in brackets', '[127.0.0.1]'],
    ['IPv6 and a name', '[::1].example.com'],
    ['IPv6 and trailing dot', '[::1].'],
    ['IPvFuture', '[v1.a]'],
    ['over 255 characters', `${'a.'.repeat(128)}com`],
  ])('%s', (_, text) => {
    expect(refusalOf(() => parseAuthority(text))).toBe('GW_BAD_REQUEST')
  })
})

test('the cache stays bounded and right while a client invents hosts', () => {
  for (let i = 0; i < 5000; i++)
    expect(parseAuthority(`h${i}.example:${i + 1}`)).toEqual({ host: `h${i}.example`, port: i + 1 })
  expect(parseAuthority('h0.example:1')).toEqual({ host: 'h0.example', port: 1 })
})

test('no port means 443', () => {
  expect(sameAuthority(parseAuthority('A.example.'), parseAuthority('a.example:443'))).toBe(true)
  expect(sameAuthority(parseAuthority('a.example'), parseAuthority('a.example:80'))).toBe(false)
  expect(sameAuthority(parseAuthority('a.example'), parseAuthority('b.example'))).toBe(false)
})
