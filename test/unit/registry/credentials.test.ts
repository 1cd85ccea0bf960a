import { expect, test } from '@jest/globals'
import { authorizations, basicCredentials, formCredentials } from '../../../src/registry/credentials.ts'
import { basic } from '../auth/support.ts'

const unusable = { kind: 'unusable' }
const none = { kind: 'none' }
const ada = { kind: 'password', name: 'ada', password: 's:x' }

test('Basic credentials are a name and a password, which may hold a colon', () => {
  for (const value of [basic('ada', 's:x'), basic('ada', 's:x').replace('Basic', 'bASIC  ')])
    expect(basicCredentials(['Accept', '*/*', 'AUTHORIZATION', value])).toEqual(ada)
  expect(basicCredentials(['Authorization', basic('ada', '')])).toEqual({ ...ada, password: '' })
})

test('without credentials, and with podman’s empty ones, a client is anonymous', () => {
  expect(basicCredentials(['Accept', '*/*'])).toEqual(none)
  expect(basicCredentials(['Authorization', 'Basic Og=='])).toEqual(none)
  expect(formCredentials(new URLSearchParams('grant_type=password'))).toEqual(none)
})

test.each([
  ['another scheme', ['Bearer abc']],
  ['no base64', ['Basic a b']],
  ['blanks that a parser would have removed', [`${basic('ada', 's:x')} `]],
  ['no colon', [`Basic ${Buffer.from('ada').toString('base64')}`]],
  ['a password without a name', [basic('', 'secret')]],
  ['two', [basic('ada', 's:x'), basic('ada', 's:x')]],
])('%s cannot be used', (_, values) => {
  const headers = values.flatMap((value) => ['Authorization', value])
  expect(basicCredentials(headers)).toEqual(unusable)
  expect(authorizations(['X-Authorization', 'x', ...headers])).toEqual(values)
})

test('a form holds a password or a refresh token, and of other grants nothing is known', () => {
  const read = (text: string) => formCredentials(new URLSearchParams(text))
  expect(read('grant_type=password&username=ada&password=s:x')).toEqual(ada)
  expect(read('grant_type=password&password=secret')).toEqual(unusable)
  expect(read('grant_type=refresh_token&refresh_token=t')).toEqual({ kind: 'refresh', token: 't' })
  expect(read('grant_type=refresh_token&username=ada&password=s:x')).toEqual(unusable)
  for (const other of ['grant_type=client_credentials&username=ada&password=x', 'username=ada&password=x'])
    expect(read(other)).toBeUndefined()
})
