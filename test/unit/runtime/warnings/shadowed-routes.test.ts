import { expect, test } from '@jest/globals'
import { type Config, loadConfig } from '../../../../src/config/index.ts'
import { Materials } from '../../../../src/runtime/materials.ts'
import { warnOfShadowedRoutes, warnOfUnroutedServices } from '../../../../src/runtime/warnings/shadowed-routes.ts'
import { atOnce } from '../../../../src/slices.ts'
import { temporaryFile } from '../../../support/folder.ts'

test('a service to which no route leads is warned of', () => {
  const url = 'https://api.internal'
  const services = [
    { name: 'a', url, routes: [{ name: 'r', paths: ['/'] }] },
    { name: 'b', url },
    { name: 'c', url },
  ]
  const routes = [{ name: 'of c', service: 'c', paths: ['/c'] }]
  const config = { listeners: [{ servers: [{ ssl_reject_handshake: 'on' }] }], services, routes }
  const loaded = loadConfig({ env: {}, file: temporaryFile('gateway.yaml', JSON.stringify(config)) })
  expect(loaded.problems).toEqual([])
  const materials = new Materials(loaded.locate)
  warnOfUnroutedServices(loaded.config as Config, materials)
  expect(materials.warnings).toEqual([
    expect.objectContaining({
      path: 'services[1]',
      message: expect.stringMatching(/^no route leads to the service b,/),
    }),
  ])
})

/** The routes that are said to be hidden, each with the one that hides it. */
function hidden(routes: readonly object[]): string[] {
  const named = routes.map((route, i) => ({ name: `r${i}`, ...route }))
  const services = [{ name: 'api', url: 'https://api.internal', routes: named }]
  const config = { listeners: [{ servers: [{ ssl_reject_handshake: 'on' }] }], services }
  const loaded = loadConfig({ env: {}, file: temporaryFile('gateway.yaml', JSON.stringify(config)) })
  expect(loaded.problems).toEqual([])
  const materials = new Materials(loaded.locate)
  atOnce(warnOfShadowedRoutes(loaded.config?.routes ?? [], materials))
  return materials.warnings.map(({ message }) => message.replace(/.*route (\S+): the route (\S+) has.*/, '$1 < $2'))
}

test.each<[string, readonly object[], readonly string[]]>([
  ['the same path twice', [{ paths: ['/'] }, { paths: ['/'] }], ['r1 < r0']],
  [
    'the same host and path',
    [
      { hosts: ['a.test'], paths: ['/'] },
      { hosts: ['a.test'], paths: ['/'] },
    ],
    ['r1 < r0'],
  ],
  ['each path at another route', [{ paths: ['/a'] }, { paths: ['/b'] }, { paths: ['/b', '/a'] }], ['r2 < r1']],
  ['the same expression, the second first', [{ paths: ['~/a'] }, { paths: ['~/a'], regex_priority: 1 }], ['r0 < r1']],
  [
    'the older one',
    [
      { paths: ['/'], created_at: 2 },
      { paths: ['/'], created_at: 1 },
    ],
    ['r0 < r1'],
  ],
  ['a host alone', [{ hosts: ['a.test'] }, { hosts: ['a.test'] }], ['r1 < r0']],
])('hidden: %s', (_what, routes, expected) => {
  expect(hidden(routes)).toEqual(expected)
})

test.each<[string, readonly object[]]>([
  ['one of two paths', [{ paths: ['/a'] }, { paths: ['/a', '/b'] }]],
  [
    'another host',
    [
      { hosts: ['a.test'], paths: ['/'] },
      { hosts: ['b.test'], paths: ['/'] },
    ],
  ],
  ['a host and none', [{ paths: ['/'] }, { hosts: ['b.test'], paths: ['/'] }]],
  [
    'other methods',
    [
      { methods: ['GET'], paths: ['/'] },
      { methods: ['POST'], paths: ['/'] },
    ],
  ],
  ['other headers', [{ headers: { x: ['1'] } }, { headers: { x: ['2'] } }]],
  ['a host and a name of the handshake', [{ hosts: ['a.test'] }, { snis: ['a.test'], protocols: ['https'] }]],
  ['plain HTTP, which nobody speaks here', [{ protocols: ['http'], paths: ['/'] }, { paths: ['/'] }]],
])('not hidden: %s', (_what, routes) => {
  expect(hidden(routes)).toEqual([])
})
