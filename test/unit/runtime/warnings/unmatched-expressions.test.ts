import { expect, test } from '@jest/globals'
import { loadConfig } from '../../../../src/config/index.ts'
import { Materials } from '../../../../src/runtime/materials.ts'
import { warnOfUnmatchedExpressions } from '../../../../src/runtime/warnings/unmatched-expressions.ts'
import { atOnce } from '../../../../src/slices.ts'
import { temporaryFile } from '../../../support/folder.ts'

function warnings(paths: readonly string[]) {
  const services = [{ name: 'api', url: 'https://api.internal', routes: [{ name: 'r', paths }] }]
  const config = { listeners: [{ servers: [{ ssl_reject_handshake: 'on' }] }], services }
  const loaded = loadConfig({ env: {}, file: temporaryFile('gateway.yaml', JSON.stringify(config)) })
  expect(loaded.problems).toEqual([])
  const materials = new Materials(loaded.locate)
  atOnce(warnOfUnmatchedExpressions(loaded.config?.routes ?? [], materials))
  return materials.warnings
}

test.each([
  ['~/café', 'holds "é", which paths hold as %C3%A9'],
  ['~/a b', 'holds " ", which paths hold as %20'],
  ['~/caf%c3%a9', 'holds %c3, which paths hold as %C3'],
  ['~/%7Eada', 'holds %7E, which paths hold as ~'],
  ['~//admin', 'holds //, which is / in paths'],
  ['~\\/\\/admin', 'holds //, which is / in paths'],
  ['~/a\\?x=1', 'holds a question mark, and only the path is matched, without its query'],
  ['~admin', 'does not begin with /, as paths do'],
])('%s is warned of', (path, fault) => {
  expect(warnings(['/', path])).toEqual([
    expect.objectContaining({
      path: 'services[0].routes[0].paths[1]',
      message: `${fault}: what this is part of matches no request`,
    }),
  ])
})

test.each([
  ['/api/*', '*'],
  ['/admin/**', '**'],
  ['/users/{id}/keys', '{id}'],
  ['/users/:id', ':id'],
  ['/api/v[0-9]+', '[0-9]'],
  ['/(a|b)', '|'],
  ['/^admin', '^'],
  ['/admin$', '$'],
])(
  '%s, as other gateways write patterns or an expression without ~, is warned of: it is a prefix here',
  (path, pattern) => {
    expect(warnings(['/', path])).toEqual([
      expect.objectContaining({
        path: 'services[0].routes[0].paths[1]',
        message: expect.stringMatching(/^is a prefix, .* stands for itself; write /),
      }),
    ])
    expect(warnings([path])[0]?.message).toContain(`patterns: ${pattern} stands`)
  },
)

test('what may match is not', () => {
  const sound = [
    ...['~/admin(/|$)', '~/v\\d+/x', '~/a/?$', '~//?a', '~/a\\??b', '~^/top', '~/(?i:admin|%c3)', '~/%C3%A9', '~/%20'],
    ...[
      '~/a[ é/]b',
      '~/[^ ]+',
      '~.*\\.php',
      '~(/a|/b)',
      '~a?/b',
      '~admin|/x',
      '~[^/]*/x',
      '/caf%c3%a9',
      '/v1/projects/x:export',
      '/a:/b',
      '/c++/Users(1)/$metadata',
    ],
  ]
  expect(warnings(sound)).toEqual([])
})
