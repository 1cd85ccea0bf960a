import { describe, expect, test } from '@jest/globals'
import {
  authority,
  listenAddress,
  listenAddressOrOff,
  network,
  networkOrUnix,
  targetAddress,
  wildcardName,
} from '../../../src/config/schema/addresses.ts'
import { Unfit } from '../../../src/config/schema/field.ts'
import { choice, duration, integer, onOff, positiveDuration, size } from '../../../src/config/schema/scalars.ts'
import { cipherList } from '../../../src/config/schema/tls.ts'
import fc from '../../support/random.ts'

describe('a duration', () => {
  test.each([
    ['60s', 60_000],
    ['500ms', 500],
    ['1m', 60_000],
    ['1h', 3_600_000],
    ['1h 30m', 5_400_000],
    ['1m30s', 90_000],
    ['2d', 172_800_000],
    ['75', 75_000],
    [75, 75_000],
    ['0', 0],
  ])('%j is %d milliseconds, as nginx reads it', (written, milliseconds) => {
    expect(duration.parse(written)).toBe(milliseconds)
  })

  test.each(['', 'soon', '-1s', '1.5s', '1y', 's', '60 seconds', true, null, {}, 1.5, -1, Number.NaN, '1e3'])(
    '%j is refused',
    (written) => {
      expect(() => duration.parse(written)).toThrow(Unfit)
    },
  )

  test.each(['75s 60s', '30m 1h', '1s 1s'])('%j is two times, as in nginx, and refused', (written) => {
    expect(() => duration.parse(written)).toThrow('is more than one duration; expected one such as 1h 30m')
  })

  test('that no timer can wait for is refused: it would fire at once', () => {
    expect(duration.parse('24d')).toBe(2_073_600_000)
    expect(() => duration.parse('25d')).toThrow('at most 24 days')
    expect(() => duration.parse(1e15)).toThrow(Unfit)
  })

  test('of zero is refused where nothing could finish in it', () => {
    expect(() => positiveDuration.parse('0s')).toThrow('must not be 0')
  })
})

describe('cipher suites', () => {
  test.each(['HIGH:!aNULL:!MD5', 'TLS_AES_128_GCM_SHA256', 'unknown:ECDHE-RSA-AES128-GCM-SHA256'])(
    '%j are those that OpenSSL understands',
    (written) => expect(cipherList.parse(written)).toBe(written),
  )

  test.each(['nonsense', 'TLS_AES_128_GCM_SHA256:nonsense', 'TLS_NOPE', '!', '', 7])('%j are refused', (written) => {
    expect(() => cipherList.parse(written)).toThrow(Unfit)
  })
})

describe('a size', () => {
  const bytes = size(0, 2 ** 40)
  test.each([
    ['8192', 8192],
    ['16k', 16_384],
    ['1M', 1_048_576],
    ['1g', 1_073_741_824],
    [0, 0],
  ])('%j is %d bytes', (written, expected) => expect(bytes.parse(written)).toBe(expected))
  test.each(['', '16kb', '-1', 'k', 1.5, true])('%j is refused', (written) =>
    expect(() => bytes.parse(written)).toThrow(Unfit),
  )
  test('out of its bounds is refused', () => expect(() => size(10, 100).parse('1k')).toThrow('10 to 100'))
})

test('a whole number is taken from digits in quotes too, because the environment knows only text', () => {
  const port = integer(1, 65_535)
  expect(port.parse('8080')).toBe(8080)
  for (const wrong of ['', '80a', '0', 65_536, 1.5, '0x50', ' 80', true, null])
    expect(() => port.parse(wrong)).toThrow(Unfit)
})

test('a switch is on or off, true or false, and nothing that merely looks like it', () => {
  expect([true, 'on', 'true', false, 'off', 'false'].map((value) => onOff.parse(value))).toEqual([
    true,
    true,
    true,
    false,
    false,
    false,
  ])
  for (const wrong of ['yes', 'ON', 1, 0, null, '']) expect(() => onOff.parse(wrong)).toThrow(Unfit)
})

test('a choice is exact', () => {
  expect(choice('off', 'on').parse('on')).toBe('on')
  for (const wrong of ['On', true, 'on ', undefined]) expect(() => choice('off', 'on').parse(wrong)).toThrow(Unfit)
})

describe('a Unix socket to listen on', () => {
  test('is written as in nginx', () => {
    expect(listenAddress.parse('unix:/run/sallyport.sock')).toEqual({ path: '/run/sallyport.sock' })
  })

  test.each(['unix:', 'unix:relative.sock', 'unix:/run/', 'unix:/run/\0a', 'UNIX:/run/a'])('%j is refused', (written) =>
    expect(() => listenAddress.parse(written)).toThrow(Unfit),
  )

  test('with a path that the system would cut is refused, counted in bytes', () => {
    expect(listenAddress.parse(`unix:/${'a'.repeat(100)}`)).toEqual({ path: `/${'a'.repeat(100)}` })
    expect(() => listenAddress.parse(`unix:/${'a'.repeat(107)}`)).toThrow('has a path of 108 bytes')
    expect(() => listenAddress.parse(`unix:/${'ä'.repeat(60)}`)).toThrow('has a path of 121 bytes')
  })

  test('is one for the admin too', () => {
    expect(listenAddressOrOff.parse('unix:/run/admin.sock')).toEqual({ path: '/run/admin.sock' })
  })

  test('has peers that unix: names, which is no network elsewhere', () => {
    expect(networkOrUnix.parse('unix:')).toBe('unix:')
    expect(networkOrUnix.parse('10.0.0.0/8')).toBe('10.0.0.0/8')
    expect(() => networkOrUnix.parse('unix:/run/a')).toThrow(Unfit)
    expect(() => network.parse('unix:')).toThrow(Unfit)
  })
})

describe('an address to listen on', () => {
  test.each([
    ['8443', { host: '0.0.0.0', port: 8443 }],
    [8443, { host: '0.0.0.0', port: 8443 }],
    ['*:8443', { host: '0.0.0.0', port: 8443 }],
    ['[::1]:8443', { host: '::1', port: 8443 }],
    ['127.0.0.1:0', { host: '127.0.0.1', port: 0 }],
    ['localhost:1', { host: 'localhost', port: 1 }],
  ])('%j', (written, expected) => expect(listenAddress.parse(written)).toEqual(expected))
  test.each([
    '',
    '0.0.0.0',
    '::1:8443',
    '[::1',
    '[localhost]:1',
    '0.0.0.0:65536',
    ':',
    ':8443',
    'a b:1',
    'http://a:1',
    true,
  ])('%j is refused', (written) => expect(() => listenAddress.parse(written)).toThrow(Unfit))
})

test('a network gets the length of a whole address where it has none, and no other nonsense', () => {
  expect(['10.0.0.0/8', '10.0.0.1', 'fd00::/8', '::1'].map((each) => network.parse(each))).toEqual([
    '10.0.0.0/8',
    '10.0.0.1/32',
    'fd00::/8',
    '::1/128',
  ])
  for (const wrong of ['10.0.0.0/33', '10.0.0/8', '10.0.0.0/', '10.0.0.0/8/8', 'localhost', 'fe80::1%eth0', '', 1]) {
    expect(() => network.parse(wrong)).toThrow(Unfit)
  }
})

test('a target has port 8000 unless it says otherwise, as in Kong', () => {
  expect(targetAddress.parse('node')).toEqual({ host: 'node', port: 8000 })
  expect(targetAddress.parse('my_api:80')).toEqual({ host: 'my_api', port: 80 })
  expect(targetAddress.parse('[FD00::1]:81')).toEqual({ host: 'fd00::1', port: 81 })
  expect(targetAddress.parse('fd00::1')).toEqual({ host: 'fd00::1', port: 8000 })
  for (const wrong of ['', 'node:0', 'node:http', 'http://node', '*', 'a/b'])
    expect(() => targetAddress.parse(wrong)).toThrow(Unfit)
})

test('a name is lower-cased, without its trailing dot, with one wildcard label at most', () => {
  expect(['WWW.Example.com.', '*.Example.com', 'www.example.*'].map((each) => wildcardName.parse(each))).toEqual([
    'www.example.com',
    '*.example.com',
    'www.example.*',
  ])
  for (const wrong of ['*', '*.*', 'a.*.b', '*a.com', '', 'a..b', '.', 'a b', 'ü.de', 'a/b'])
    expect(() => wildcardName.parse(wrong)).toThrow(Unfit)
})

test('no text whatever makes a kind fail in another way than by refusing', () => {
  const kinds = [duration, size(0, 10), listenAddress, network, targetAddress, wildcardName, authority, integer(0, 9)]
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.anything()), (value) => {
      for (const kind of kinds) {
        try {
          kind.parse(value)
        } catch (error) {
          expect(error).toBeInstanceOf(Unfit)
        }
      }
    }),
  )
})
