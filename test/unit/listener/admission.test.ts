import { describe, expect, test } from '@jest/globals'
import { GatewayError } from '../../../src/errors.ts'
import { accepts, admit, verify } from '../../../src/listener/admission.ts'
import type { Connection, Verification, VerifyMode, VirtualServer } from '../../../src/types.ts'
import { fakeCertificate, fakeConnection, keepsNotes } from '../../support/fake-connection.ts'

const NOW = 1_700_000_000_000
const SUCCESS: Verification = { result: 'SUCCESS' }
const NONE: Verification = { result: 'NONE' }
const UNKNOWN_ISSUER: Verification = { result: 'FAILED', code: 'DEPTH_ZERO_SELF_SIGNED_CERT', reason: 'self-signed' }
const REVOKED: Verification = { result: 'FAILED', code: 'CERT_REVOKED', reason: 'certificate revoked' }

function server(mode: VerifyMode, policy = 'policy'): VirtualServer {
  return { name: 'api.test', policy, verify: mode, mapper: undefined, verifyAndMap: false }
}

function shown(verification: Verification, facts: Partial<Connection> = {}): Connection {
  const certificate = verification.result === 'NONE' ? undefined : fakeCertificate()
  return fakeConnection({ verification, certificate, ...facts })
}

/** The code of the refusal; undefined for whoever is let in. */
function refusalOf(run: () => unknown): string | undefined {
  try {
    run()
  } catch (error) {
    if (error instanceof GatewayError) return error.code
    throw error
  }
  return undefined
}

const demanding = (mode: VerifyMode | undefined, isAllowed?: () => boolean) => ({
  certificate: { verify: mode, isAllowed },
})

test.each<[VerifyMode, boolean[]]>([
  ['off', [true, true, true, true]],
  ['optional', [true, true, false, false]],
  ['on', [false, true, false, false]],
  ['optional_no_ca', [true, true, true, false]],
])('%s lets in whom nginx lets in', (mode, expected) => {
  expect([NONE, SUCCESS, UNKNOWN_ISSUER, REVOKED].map((each) => accepts(mode, each))).toEqual(expected)
})

describe('a server', () => {
  test('is no business of a connection that another policy has judged', () => {
    expect(refusalOf(() => admit(server('off', 'other'), shown(SUCCESS), NOW))).toBe('GW_MISDIRECTED')
    expect(refusalOf(() => admit(server('off'), shown(SUCCESS), NOW))).toBeUndefined()
  })

  test('that demands a certificate tells whoever has none before any route is looked for', () => {
    expect(refusalOf(() => admit(server('on'), shown(NONE), NOW))).toBe('GW_CLIENT_CERTIFICATE_REQUIRED')
    expect(refusalOf(() => admit(server('on'), shown(REVOKED), NOW))).toBe('GW_CLIENT_CERTIFICATE_INVALID')
    expect(refusalOf(() => admit(server('on'), shown(SUCCESS), NOW))).toBeUndefined()
  })
})

test.each([admit, (to: VirtualServer, by: Connection, now: number) => verify(to, undefined, by, now)])(
  'a certificate counts to its last millisecond, and not in the next one',
  (judge) => {
    const connection = shown(SUCCESS, { expiresAt: NOW })
    expect(refusalOf(() => judge(server('on'), connection, NOW))).toBeUndefined()
    expect(refusalOf(() => judge(server('on'), connection, NOW + 1))).toBe('GW_CLIENT_CERTIFICATE_INVALID')
  },
)

describe('a route', () => {
  test('that says nothing is as strict as its server', () => {
    expect(refusalOf(() => verify(server('optional'), undefined, shown(REVOKED), NOW))).toBe(
      'GW_CLIENT_CERTIFICATE_INVALID',
    )
    expect(refusalOf(() => verify(server('optional'), demanding(undefined), shown(NONE), NOW))).toBeUndefined()
  })

  test('may demand what its server only asks for', () => {
    expect(refusalOf(() => verify(server('optional'), demanding('on'), shown(NONE), NOW))).toBe(
      'GW_CLIENT_CERTIFICATE_REQUIRED',
    )
  })

  test.each<VerifyMode>(['off', 'optional', 'optional_no_ca'])('with %s takes nothing off a server with on', (mode) => {
    expect(refusalOf(() => verify(server('on'), demanding(mode), shown(UNKNOWN_ISSUER), NOW))).toBe(
      'GW_CLIENT_CERTIFICATE_INVALID',
    )
    expect(refusalOf(() => verify(server('on'), demanding(mode), shown(NONE), NOW))).toBe(
      'GW_CLIENT_CERTIFICATE_REQUIRED',
    )
    const connection = shown(SUCCESS)
    expect(verify(server('on'), demanding(mode), connection, NOW)).toBe(connection)
  })

  test('with off sees nothing of the certificate, and the same of each request of the connection', () => {
    const connection = shown(REVOKED, { expiresAt: NOW - 1, chain: [fakeCertificate()] })
    const seen = verify(server('optional'), demanding('off'), connection, NOW)
    expect(seen).toEqual({
      ...connection,
      ...{ verification: NONE, certificate: undefined, chain: [], expiresAt: Number.POSITIVE_INFINITY },
    })
    expect(verify(server('optional'), demanding('off'), connection, NOW)).toBe(seen)
    expect(keepsNotes(seen)).toBe(true)
  })

  test('with names lets nobody pass without a certificate, nor one with another name', () => {
    const allows = (answer: boolean) => demanding('on', () => answer)
    expect(refusalOf(() => verify(server('optional'), allows(true), shown(SUCCESS), NOW))).toBeUndefined()
    expect(refusalOf(() => verify(server('optional'), allows(false), shown(SUCCESS), NOW))).toBe('GW_FORBIDDEN')
    const lenient = demanding('optional', () => true)
    expect(refusalOf(() => verify(server('optional'), lenient, shown(NONE), NOW))).toBe('GW_FORBIDDEN')
  })
})
