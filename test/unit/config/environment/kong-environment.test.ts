import { expect, test } from '@jest/globals'
import { unreadOfKong } from '../../../../src/config/environment/kong-environment.ts'

test('of variables that are not meant for Kong the values are not looked at: there may be thousands, and each takes longer than the one before', () => {
  const looked: string[] = []
  const given = { KONG_STREAM_LISTEN: 'off', OTHER_SERVICE_PORT: '80', PATH: '/bin' }
  const env = new Proxy<Record<string, string | undefined>>(given, {
    get(variables, name) {
      looked.push(String(name))
      return variables[String(name)]
    },
  })
  expect(unreadOfKong(env)).toHaveLength(1)
  expect(looked).toEqual(['KONG_STREAM_LISTEN'])
})
