import { expect, test } from '@jest/globals'
import { couldNotTell, refusal } from '../../../src/auth/refusal.ts'
import { GatewayError } from '../../../src/errors.ts'
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

test('a method that broke could not tell, whatever broke it; its own 503 is passed on', () => {
  const method = { name: 'password' } as AuthMethod
  for (const cause of [new Error('broke'), new GatewayError('GW_INTERNAL', 'broke'), 'broke'])
    expect(couldNotTell(method, cause)).toMatchObject({ code: 'GW_UNDECIDED', cause })
  const overloaded = new GatewayError('GW_OVERLOADED', 'too many')
  expect(couldNotTell(method, overloaded)).toBe(overloaded)
})
