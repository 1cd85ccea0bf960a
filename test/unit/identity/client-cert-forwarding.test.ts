import { describe, expect, test } from '@jest/globals'
import { ConstantHeaders } from '../../../src/http-fields/own-headers.ts'
import { createClientCertForwarding, type ForwardMode } from '../../../src/identity/client-cert-forwarding.ts'
import { createIdentityHeaders } from '../../../src/identity/identity-headers.ts'
import { fakeCertificate, fakeConnection } from '../../support/fake-connection.ts'

const MODES: readonly ForwardMode[] = [
  'SANITIZE',
  'FORWARD_ONLY',
  'APPEND_FORWARD',
  'SANITIZE_SET',
  'ALWAYS_FORWARD_ONLY',
]
const trusted = { has: (address: string) => address === '192.0.2.1' }
const proven = { certificate: fakeCertificate({ subject: 'CN=hop' }), verification: { result: 'SUCCESS' } } as const
const OURS = `Hash=${'b'.repeat(64)}`
const THEIRS = 'Hash=client;URI=spiffe://td/client'

/** What arrives at the backend, one line and no more. */
function arrives(mode: ForwardMode, facts: Parameters<typeof fakeConnection>[0], lines = [THEIRS]): string | undefined {
  const connection = fakeConnection(facts)
  const out: string[] = []
  const rawHeaders = lines.flatMap((line) => ['x-forwarded-Client-Cert', line])
  const ours = createIdentityHeaders({ presets: ['envoy'], forwarding: mode }).for(connection)
  const forwarding = createClientCertForwarding({ mode, trusted, maxSize: 100 })
  const own = forwarding?.append(out, connection, rawHeaders, ours) ?? ours
  const values = [...out, ...own.list].filter((_, i) => i % 2 === 1)
  expect(values.length).toBeLessThan(2)
  return values[0]
}

describe.each(MODES)('%s', (mode) => {
  const appends = mode === 'APPEND_FORWARD'
  const sets = appends || mode === 'SANITIZE_SET'
  const forwards = appends || mode === 'FORWARD_ONLY' || mode === 'ALWAYS_FORWARD_ONLY'
  const expected = [forwards ? [THEIRS] : [], sets ? [OURS] : []].flat().join(',') || undefined

  test('from a trusted peer with a certificate', () => {
    expect(arrives(mode, proven)).toBe(expected)
  })
  test('from a trusted peer without one', () => {
    expect(arrives(mode, {})).toBe(mode === 'ALWAYS_FORWARD_ONLY' ? THEIRS : undefined)
  })
  test('from a trusted peer whose certificate nobody vouches for', () => {
    const verification = { result: 'FAILED', reason: 'self-signed certificate', code: 'X' } as const
    const arrived = arrives(mode, { ...proven, verification })
    expect(arrived?.includes(THEIRS) ?? false).toBe(mode === 'ALWAYS_FORWARD_ONLY')
  })
  test('from anybody else: his word is never believed, in Envoy’s stead', () => {
    expect(arrives(mode, { ...proven, remoteAddress: '192.0.2.9' })).toBe(sets ? OURS : undefined)
    expect(arrives(mode, { remoteAddress: '192.0.2.9' })).toBeUndefined()
  })
})

test('several lines of a trusted peer are one list', () => {
  expect(arrives('APPEND_FORWARD', proven, ['Hash=a', 'Hash=b'])).toBe(`Hash=a, Hash=b,${OURS}`)
})

test('a trusted peer is known by his IPv4 address also where the listener speaks IPv6', () => {
  expect(arrives('APPEND_FORWARD', { ...proven, remoteAddress: '::ffff:192.0.2.1' })).toBe(`${THEIRS},${OURS}`)
})

test('a header of a trusted peer that says nothing is none', () => {
  expect(arrives('APPEND_FORWARD', proven, [''])).toBe(OURS)
})

test('a user who is called like the header is not taken for it', () => {
  const out: string[] = []
  const forwarding = createClientCertForwarding({ mode: 'APPEND_FORWARD', trusted, maxSize: 100 })
  const name = ['X-Name', 'X-Forwarded-Client-Cert']
  const ours = new ConstantHeaders([...name, 'X-Forwarded-Client-Cert', OURS])
  const rest = forwarding?.append(out, fakeConnection(proven), ['X-Forwarded-Client-Cert', THEIRS], ours)
  expect([out, rest?.list]).toEqual([['X-Forwarded-Client-Cert', `${THEIRS},${OURS}`], name])
})

test('what has just as many bytes as the limit allows goes on, and one more does not', () => {
  const most = `Hash=${'x'.repeat(95)}`
  expect(arrives('APPEND_FORWARD', proven, [most])).toBe(`${most},${OURS}`)
  expect(() => arrives('APPEND_FORWARD', proven, [`${most}x`])).toThrow('101 bytes')
})

test.each([
  ['what cannot be read', 'Hash="open', 'GW_BAD_REQUEST'],
  ['what is not ASCII', 'Subject="CN=\xe9"', 'GW_BAD_REQUEST'],
  ['what is too large', `Hash=${'x'.repeat(100)}`, 'GW_IDENTITY_TOO_LARGE'],
])('%s is refused', (_what, text, code) => {
  expect(() => arrives('APPEND_FORWARD', proven, [text])).toThrow(expect.objectContaining({ code }))
})
