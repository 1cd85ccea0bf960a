import { readFileSync } from 'node:fs'
import { describe, expect, test } from '@jest/globals'
import { describeProblem, ERROR_CODES, GatewayError, toGatewayError } from '../../src/errors.ts'

const reference = readFileSync(new URL('../../docs/errors.md', import.meta.url), 'utf8')

describe('docs/errors.md', () => {
  const rows = [...reference.matchAll(/^\| `(\w+)` \|.*$/gm)].map(([row, code]) => [code as string, row] as const)

  test('lists every code, and none that does not exist', () => {
    expect(rows.map(([code]) => code).sort()).toEqual(Object.keys(ERROR_CODES).sort())
  })

  test.each(rows)('says of %s what the table says', (code, row) => {
    const { status, logStatus, fault, closes, title, remedy } = ERROR_CODES[code as keyof typeof ERROR_CODES]
    const shown = `${status}${logStatus ? ` (log: ${logStatus})` : ''}`
    expect(row).toBe(`| \`${code}\` | ${shown} | ${fault} | ${closes ? 'yes' : 'no'} | ${title} | ${remedy} |`)
  })
})

test('what nobody foresaw is GW_INTERNAL and keeps its cause', () => {
  const cause = new TypeError('x is not a function')
  expect(toGatewayError(cause)).toMatchObject({ code: 'GW_INTERNAL', detail: 'x is not a function', cause })
  const known = new GatewayError('GW_NO_TARGET', 'none')
  expect(toGatewayError(known)).toBe(known)
})

test('a problem is shown as file:line:column: setting: message', () => {
  const problem = { source: 'a.yaml', line: 3, column: 5, path: 'services[0].url', message: 'is missing' }
  expect(describeProblem(problem)).toBe('a.yaml:3:5: services[0].url: is missing')
  expect(describeProblem({ path: 'SALLYPORT_LISTEN', message: 'is wrong' })).toBe('SALLYPORT_LISTEN: is wrong')
})

test('of a key that may be a line of a password file, no more is told than the name', () => {
  const problem = { source: '/etc/shadow', line: 1, path: 'root:$y$j9T$abc:20228', message: 'is no setting here' }
  expect(describeProblem(problem)).toBe('/etc/shadow:1: root:…: is no setting here')
})

test('what a file says moves no cursor and turns no text around where it is told, nor fills the log', () => {
  const problem = { source: 'a.yaml', line: 1, path: 'a\x1b[2J\u202e\n\0', message: 'is \x9bno setting' }
  expect(describeProblem(problem)).toBe('a.yaml:1: a\\u{1b}[2J\\u{202e}\\u{a}\\u{0}: is \\u{9b}no setting')
  expect(describeProblem({ path: 'k'.repeat(9_000_000), message: 'm'.repeat(9_000_000) }).length).toBeLessThan(6000)
})
