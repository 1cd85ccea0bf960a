import { expect, test } from '@jest/globals'
import { refusal } from '../../../src/auth/refusal.ts'
import type { AuthMethod, Identity, Outcome } from '../../../src/types.ts'

test('the log says of a caller whose receipt holds all of a rule that there is nothing new, and what another rule found', () => {
  const [password, token] = ['password', 'token'].map((name) => ({ name }) as AuthMethod) as [AuthMethod, AuthMethod]
  const found = { methods: ['password'] } as unknown as Identity
  const outcomes: [AuthMethod, Outcome][] = [
    [password, { status: 'accepted' } as Outcome],
    [token, { status: 'denied', reason: 'expired' }],
  ]
  const rules = [[password], [token]]
  const shared = { rules, outcomes, found, receipt: undefined, describe: () => ({}) }
  expect(refusal({ ...shared, reasons: ['token: expired'] }).message).toContain(
    'nothing new, after password; token: expired',
  )
})
