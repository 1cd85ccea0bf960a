import { expect, test } from '@jest/globals'
import { userOfCertificate } from '../../../src/auth/certificate-user.ts'
import { GatewayError } from '../../../src/errors.ts'
import { absent, accepted, ada, bob, caller, denied, method, user } from './support.ts'

const BY_CERTIFICATE = { user: ada, methods: ['password', 'certificate'] }

test('a user in whom no certificate had a part is who he was', () => {
  const certificate = method('certificate', accepted(bob))
  expect(userOfCertificate({ user: ada, methods: ['password'] }, caller(), certificate)).toBe(ada)
  expect(certificate.asked).toStrictEqual([])
})

test('the user of a certificate is as it is mapped now', async () => {
  const now = user('ada', { groups: ['now'] })
  expect(userOfCertificate(BY_CERTIFICATE, caller(), method('certificate', accepted(now)))).toBe(now)
  const later = method('certificate', Promise.resolve(accepted(now)))
  expect(await userOfCertificate(BY_CERTIFICATE, caller(), later)).toBe(now)
})

test.each([
  ["is another user's", accepted(bob)],
  ["is nobody's", denied()],
  ['is not shown', absent],
])('there is no user where the certificate %s', (_, outcome) => {
  expect(userOfCertificate(BY_CERTIFICATE, caller(), method('certificate', outcome))).toBeUndefined()
})

test('there is no user where certificates are not mapped at all', () => {
  expect(userOfCertificate(BY_CERTIFICATE, caller(), undefined)).toBeUndefined()
})

test('what the mapper cannot tell is neither a yes nor a no', async () => {
  const away = method('certificate', () => Promise.reject(new GatewayError('GW_UNDECIDED', 'the plugin is away')))
  await expect(userOfCertificate(BY_CERTIFICATE, caller(), away)).rejects.toMatchObject({ code: 'GW_UNDECIDED' })
})
