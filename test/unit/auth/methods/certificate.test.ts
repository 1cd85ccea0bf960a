import { describe, expect, test } from '@jest/globals'
import { createCertificateMethod } from '../../../../src/auth/methods/certificate.ts'
import type { Caller, CertificateMapper, Connection, Mapping, User } from '../../../../src/types.ts'
import { factsOf } from '../../../support/facts.ts'
import { fakeConnection } from '../../../support/fake-connection.ts'
import { authority } from '../../../support/pki.ts'

const ADA: User = { id: '1', name: 'ada', groups: [], customId: undefined }
const CERTIFICATE = factsOf(authority('root').client('ada'))
const VERIFIED = { certificate: CERTIFICATE, verification: { result: 'SUCCESS' }, expiresAt: 1e15 } as const

function mapperOf(answer: () => Mapping | Promise<Mapping>): CertificateMapper & { asked: number } {
  const mapper = {
    name: 'test',
    asked: 0,
    map: () => {
      mapper.asked++
      return answer()
    },
  }
  return mapper
}

function callerOf(connection: Connection, mapper: CertificateMapper | undefined): Caller {
  return {
    connection,
    server: { name: 's', policy: '', verify: 'on', mapper, verifyAndMap: true },
  } as unknown as Caller
}

describe('the certificate as the proof of a user', () => {
  const method = createCertificateMethod()

  test('is asked for once per connection, and gives the same object', () => {
    const mapper = mapperOf(() => ({ status: 'mapped', user: ADA, reason: '', requires: ['password'] }))
    const connection = fakeConnection(VERIFIED)
    const first = method.authenticate(callerOf(connection, mapper))
    expect(first).toEqual({ status: 'accepted', user: ADA, requires: ['password'], expiresAt: 1e15 })
    expect(method.authenticate(callerOf(connection, mapper))).toBe(first)
    expect(mapper.asked).toBe(1)
  })

  test('is asked for anew where the rules are others', () => {
    const connection = fakeConnection(VERIFIED)
    const yes = mapperOf(() => ({ status: 'mapped', user: ADA, reason: '' }))
    const no = mapperOf(() => ({ status: 'unmapped', reason: 'nobody' }))
    expect(method.authenticate(callerOf(connection, yes))).toMatchObject({ status: 'accepted' })
    expect(method.authenticate(callerOf(connection, no))).toMatchObject({ status: 'denied', reason: 'nobody' })
  })

  test('is asked for anew once the answer is too old', () => {
    const connection = fakeConnection(VERIFIED)
    const stale = mapperOf(() => ({ status: 'mapped', user: ADA, reason: '', until: Date.now() - 1 }))
    method.authenticate(callerOf(connection, stale))
    method.authenticate(callerOf(connection, stale))
    expect(stale.asked).toBe(2)
  })

  test('is absent without a certificate, and denied where it is not verified', () => {
    const mapper = mapperOf(() => ({ status: 'mapped', user: ADA, reason: '' }))
    expect(method.authenticate(callerOf(fakeConnection({ certificate: undefined }), mapper))).toEqual({
      status: 'absent',
    })
    const failed = { ...VERIFIED, verification: { result: 'FAILED', reason: 'self-signed', code: 'X' } } as const
    expect(method.authenticate(callerOf(fakeConnection(failed), mapper))).toMatchObject({ status: 'denied' })
    const none = { ...VERIFIED, verification: { result: 'NONE' } } as const
    expect(method.authenticate(callerOf(fakeConnection(none), mapper))).toMatchObject({ status: 'denied' })
    expect(mapper.asked).toBe(0)
  })

  test('notes whom it found, and nobody else', () => {
    const noted: unknown[] = []
    const mappedUsers = { note: (_caller: Caller, { user }: { user: User }) => void noted.push(user) }
    const noting = createCertificateMethod({ fallback: ADA, mappedUsers: mappedUsers as never })
    const answers: Mapping[] = [
      { status: 'unmapped', reason: 'nobody' },
      { status: 'mapped', user: ADA, reason: '' },
    ]
    for (const answer of answers)
      noting.authenticate(
        callerOf(
          fakeConnection(VERIFIED),
          mapperOf(() => answer),
        ),
      )
    expect(noted).toEqual([ADA])
  })

  test('is denied where the server has no rules', () => {
    expect(method.authenticate(callerOf(fakeConnection(VERIFIED), undefined))).toMatchObject({ status: 'denied' })
  })

  test('a mapper that cannot tell is asked again by the next request', async () => {
    let fails = true
    const mapper = mapperOf(async () => {
      if (fails) throw new Error('down')
      return { status: 'mapped', user: ADA, reason: '' }
    })
    const caller = callerOf(fakeConnection(VERIFIED), mapper)
    await expect(method.authenticate(caller)).rejects.toThrow('down')
    fails = false
    await expect(method.authenticate(caller)).resolves.toMatchObject({ status: 'accepted' })
  })

  test('a certificate that belongs to nobody stands for default_consumer where there is one', () => {
    const nobody = mapperOf(() => ({ status: 'unmapped', reason: '' }))
    const lenient = createCertificateMethod({ fallback: ADA })
    expect(lenient.authenticate(callerOf(fakeConnection(VERIFIED), nobody))).toMatchObject({
      status: 'accepted',
      user: ADA,
    })
    expect(lenient.authenticate(callerOf(fakeConnection({ certificate: undefined }), nobody))).toEqual({
      status: 'absent',
    })
  })

  test('default_consumer is nobody whom the configuration lets in no more', () => {
    const disabled = mapperOf(() => ({ status: 'unmapped', reason: 'not enabled', disabled: true }))
    const lenient = createCertificateMethod({ fallback: ADA })
    expect(lenient.authenticate(callerOf(fakeConnection(VERIFIED), disabled))).toMatchObject({ status: 'denied' })
  })
})
