// biome-ignore-all lint/suspicious/noTemplateCurlyInString: it is what users write in a configuration.
import { expect, test } from '@jest/globals'
import { substitute } from '../../../src/config/environment/substitution.ts'
import { didYouMean, nearest } from '../../../src/config/nearest.ts'

test('a misspelt name is met by the nearest one: swapped, missing, wrong and doubled letters', () => {
  const known = ['ssl_verify_client', 'ssl_verify_depth', 'ssl_crl', 'listen']
  for (const written of ['ssl_verify_cleint', 'ssl_verfy_client', 'ssl_verify_clients', 'SSL_VERIFY_CLIENT']) {
    expect(nearest(written, known)).toBe('ssl_verify_client')
  }
  expect(didYouMean('lisen', known)).toBe(' (did you mean "listen"?)')
})

test('what is like nothing gets no suggestion, however long it is', () => {
  expect(nearest('bananas', ['listen', 'log'])).toBeUndefined()
  expect(nearest('x'.repeat(1_000_000), ['listen'])).toBeUndefined()
})

const variables = (name: string) => ({ HOST: 'a', EMPTY: '', NESTED: '${HOST}', YAML: 'x: {y: 1}\n- z' })[name]

test.each([
  ['${HOST}:1', 'a:1'],
  ['${HOST:-b}', 'a'],
  ['${NOTHING:-b}', 'b'],
  ['${EMPTY:-b}', 'b'],
  ['${EMPTY}', ''],
  ['${NOTHING:-}', ''],
  ['$${HOST}', '${HOST}'],
  ['$HOST $$ $', '$HOST $$ $'],
  ['${NESTED}', '${HOST}'],
  ['${YAML}', 'x: {y: 1}\n- z'],
])('%j becomes %j', (written, expected) => {
  expect(substitute(written, variables)).toMatchObject({ text: expected })
  expect(substitute(written, variables).problem).toBeUndefined()
})

test('a variable that is not set is a problem that names it', () => {
  expect(substitute('x${NOTHING}y', variables).problem).toContain('NOTHING, which is not set')
})

test.each(['${HOST:-${OTHER}}', '${NOTHING:-a${HOST:-b}}', '${NOTHING:-${HOST'])(
  '%j: a default holds no variable',
  (written) => {
    expect(substitute(written, variables).problem).toMatch(/in the default of|unfinished/)
  },
)

test.each(['${', '${HOST', '${}', '${1A}', '${A-b}', '${A B}'])('%j is unfinished', (written) => {
  expect(substitute(written, variables).problem).toContain('unfinished')
})
