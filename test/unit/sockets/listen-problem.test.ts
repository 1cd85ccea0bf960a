import { expect, test } from '@jest/globals'
import { listenProblem } from '../../../src/sockets/listen-problem.ts'

const problem = (where: string, code: string) =>
  listenProblem('listeners[0].listen', where, Object.assign(new Error('bind'), { code })).message

test.each([
  ['[::]:8443', 'EAFNOSUPPORT', 'choose an address of IPv4'],
  ['192.0.2.1:8443', 'EADDRNOTAVAIL', 'no such address'],
  ['0.0.0.0:443', 'EACCES', 'CAP_NET_BIND_SERVICE'],
  ['unix:/run/none/a.sock', 'EACCES', 'make the folder'],
  ['unix:/run/a.sock', 'ENOENT', 'restart the gateway'],
  ['0.0.0.0:443', 'EMADEUP', 'choose another address'],
])('of %s with %s it is said what to do', (where, code, remedy) => {
  expect(problem(where, code)).toMatch(`listeners[0].listen: cannot listen on ${where} (${code}): `)
  expect(problem(where, code)).toContain(remedy)
})
