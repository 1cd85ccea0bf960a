import { expect, test } from '@jest/globals'
import { ConstantHeaders } from '../../../src/http-fields/own-headers.ts'

test('the lines of headers that stay the same are made once', () => {
  let asked = 0
  const list = ['X-Name', '']
  Object.defineProperty(list, 1, {
    get() {
      asked += 1
      return 'ada'
    },
  })
  const headers = new ConstantHeaders(list)
  expect([headers.lines, headers.lines]).toEqual(['X-Name: ada\r\n', 'X-Name: ada\r\n'])
  expect(asked).toBe(1)
})
