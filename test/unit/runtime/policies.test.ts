// What a reload makes anew of the listeners' policies and certificates, and what stays.
import { beforeEach, expect, jest, test } from '@jest/globals'
import { loadConfig } from '../../../src/config/index.ts'
import type { ListenerSettings } from '../../../src/listener/listener.ts'
import { createLog } from '../../../src/log/log.ts'
import { createMetrics } from '../../../src/metrics/metrics.ts'
import { createLasting, type Lasting } from '../../../src/runtime/lasting.ts'
import { buildRuntime } from '../../../src/runtime/runtime.ts'
import { temporaryFile } from '../../support/folder.ts'
import { authority, type Issued } from '../../support/pki.ts'

const [clients, ca] = [authority('clients'), authority('servers')]
const names = ['one.test', 'two.test', 'other.test'] as const
const shown = Object.fromEntries(names.map((name) => [name, ca.server(name)])) as Record<string, Issued>

let lasting: Lasting
beforeEach(() => {
  lasting = createLasting(createLog({ level: 'silent' }), createMetrics())
})

/** Of two listeners that trust alike. */
function settingsWith(certificates: Readonly<Record<string, Issued>>, trusted = clients): ListenerSettings[] {
  const trust = { ssl_client_certificate: trusted.certificate, ssl_verify_client: 'on' }
  const { chain, key } = certificates['other.test'] as Issued
  const config = {
    listeners: [
      { listen: '127.0.0.1:0', servers: [{ server_names: ['one.test', 'two.test'], ...trust }] },
      {
        listen: '127.0.0.2:0',
        servers: [{ server_names: ['other.test'], ssl_certificate: chain, ssl_certificate_key: key, ...trust }],
      },
    ],
    certificates: ['one.test', 'two.test'].map((name) => {
      const issued = certificates[name] as Issued
      return { cert: issued.chain, key: issued.key, snis: [{ name }] }
    }),
    services: [{ name: 'api', url: 'http://127.0.0.1:9', routes: [{ name: 'everything', paths: ['/'] }] }],
  }
  const loaded = loadConfig({ file: temporaryFile('gateway.yaml', JSON.stringify(config)), env: {} })
  const runtime = buildRuntime(loaded, lasting)
  runtime.commit()
  runtime.close()
  return runtime.listeners.map(({ settings }) => settings)
}

const certificatesIn = ([first, second]: ListenerSettings[]) => [
  first?.certificatesFor('one.test'),
  first?.certificatesFor('two.test'),
  second?.certificatesFor('other.test'),
]
const policiesIn = (settings: ListenerSettings[]) => settings.map(({ policyFor }) => policyFor('two.test'))

test.each(names)('where the certificate of %s is renewed, nothing else is made anew', (renewed) => {
  const before = settingsWith(shown)
  const after = settingsWith({ ...shown, [renewed]: ca.server(renewed) })
  const [was, is] = [certificatesIn(before), certificatesIn(after)]
  expect(is.map((certificates, i) => certificates === was[i])).toEqual(names.map((name) => name !== renewed))
  expect(policiesIn(after).map((policy, i) => policy === policiesIn(before)[i])).toEqual([true, true])
})

test('listeners that trust alike have one policy, and another one where other clients are trusted', () => {
  const [one, other] = policiesIn(settingsWith(shown))
  expect(one).toBeDefined()
  expect(other).toBe(one)
  const [changed] = policiesIn(settingsWith(shown, authority('others')))
  expect(changed?.id).not.toBe(one?.id)
})

test('what is not shown any more is forgotten with the reload, and what is shown is not', () => {
  const servers = policiesIn(settingsWith(shown))[0]?.servers
  if (!servers) throw new Error('no policy')
  const keepOnly = jest.spyOn(servers, 'keepOnly')
  const after = settingsWith({ ...shown, 'two.test': ca.server('two.test') })
  expect(keepOnly).toHaveBeenLastCalledWith(new Set(certificatesIn(after)))
})
