import { expect, test } from '@jest/globals'
import { loadConfig } from '../../../src/config/index.ts'
import { clientTrustOf } from '../../../src/runtime/client-trust.ts'
import { Materials } from '../../../src/runtime/materials.ts'
import { factsOf } from '../../support/facts.ts'
import { temporaryFile } from '../../support/folder.ts'
import { authority } from '../../support/pki.ts'

const [one, two] = [authority('one'), authority('two')]
const middle = one.authority('middle')
const ada = one.client('ada')
const both = one.certificate + two.certificate
const PIN = factsOf(ada).publicKeySha256

/** What a server trusts, and what its settings are warned of. */
function trustOf(settings: object) {
  const servers = [{ ssl_certificate: ada.chain, ssl_certificate_key: ada.key, ssl_verify_client: 'on', ...settings }]
  const services = [{ name: 'api', url: 'https://api.internal', routes: [{ paths: ['/'] }] }]
  const file = temporaryFile('gateway.yaml', JSON.stringify({ listeners: [{ servers }], services }))
  const loaded = loadConfig({ env: {}, file })
  expect(loaded.problems).toEqual([])
  const materials = new Materials(loaded.locate)
  const [server] = loaded.config?.listeners[0]?.servers ?? []
  if (!server) throw new Error('no server')
  const trust = clientTrustOf(server, materials)
  return { trust, problems: materials.problems, warnings: materials.warnings.map(({ message }) => message) }
}

const digestOf = (settings: object) => trustOf(settings).trust?.digest
const subjectsOf = (settings: object) => trustOf(settings).trust?.certificates.map(({ subject }) => subject)

test('nobody is trusted where nobody is asked, which is warned of where authorities are named', () => {
  const { trust, warnings } = trustOf({ ssl_verify_client: 'off', ssl_client_certificate: both })
  expect(trust).toBeUndefined()
  expect(warnings).toEqual([expect.stringContaining('has no effect while ssl_verify_client is off')])
})

test('the authorities of both settings are trusted, each once', () => {
  const settings = { ssl_client_certificate: one.certificate, ssl_trusted_certificate: both }
  expect(subjectsOf(settings)).toEqual(['CN=one', 'CN=two'])
  expect(trustOf(settings).trust?.pems).toHaveLength(2)
})

test.each<[string, object, boolean, number]>([
  ['those of ssl_client_certificate alone', { ssl_client_certificate: one.certificate }, true, 1],
  ['of both settings', { ssl_client_certificate: both }, true, 0],
  ['none with send_ca_dn: off', { ssl_client_certificate: one.certificate, send_ca_dn: false }, false, 0],
])('the names that are sent are %s', (_which, settings, announced, unannounced) => {
  const { trust } = trustOf({ ssl_trusted_certificate: both, ...settings })
  expect(trust?.announced).toBe(announced)
  expect(trust?.unannouncedPems).toHaveLength(unannounced)
})

test('no names are sent where ssl_trusted_certificate stands alone', () => {
  const { trust } = trustOf({ ssl_trusted_certificate: both })
  expect([trust?.announced, trust?.unannouncedPems]).toEqual([false, []])
})

test('servers are judged alike where they trust and demand the same, in whatever order and spelling', () => {
  const reversed = two.certificate + one.certificate
  expect(digestOf({ ssl_client_certificate: reversed })).toBe(digestOf({ ssl_client_certificate: both }))
  expect(digestOf({ ssl_trusted_certificate: reversed })).toBe(digestOf({ ssl_trusted_certificate: both }))
  const pinned = (...pins: string[]) => digestOf({ ssl_client_certificate: both, pinned_certs: pins })
  const other = '0'.repeat(64)
  expect(pinned(other, PIN.toUpperCase())).toBe(pinned(PIN, other))
})

test('nobody is judged by the demands of another server, whatever differs', () => {
  const settings: object[] = [
    {},
    { ssl_client_certificate: one.certificate },
    { ssl_client_certificate: one.certificate, ssl_trusted_certificate: two.certificate },
    { ssl_client_certificate: two.certificate, ssl_trusted_certificate: one.certificate },
    { send_ca_dn: false },
    { allow_partial_chain: true },
    { pinned_certs: [PIN] },
    { ssl_verify_policies: ['1.2.3.4'] },
    { ssl_verify_extended_key_usage: ['clientAuth'] },
    { ssl_verify_allow: [{ subject: { CN: 'ada' } }] },
    { ssl_verify_allow: [{ subject: { CN: 'eve' } }] },
  ]
  const digests = settings.map((each) => digestOf({ ssl_client_certificate: both, ...each }))
  expect(new Set(digests).size).toBe(settings.length)
})

test('a pin holds in upper case too, and only for its key', () => {
  const demand = (pin: string) => trustOf({ ssl_client_certificate: both, pinned_certs: [pin] }).trust?.requirements[0]
  const shown = { certificate: factsOf(ada), chain: [factsOf(one)], sent: [], error: undefined }
  expect(demand(PIN.toUpperCase())?.(shown)).toBeUndefined()
  expect(demand('0'.repeat(64))?.(shown)?.code).toBe('CERT_NOT_PINNED')
})

test('an authority without its root is warned of, but not where a chain may end there or need not end at all', () => {
  const alone = { ssl_client_certificate: middle.certificate }
  const warned = [expect.stringContaining('the issuer of CN=middle, CN=one, is not there')]
  expect(trustOf(alone).warnings).toEqual(warned)
  expect(trustOf({ ssl_trusted_certificate: middle.certificate }).warnings).toEqual(warned)
  expect(trustOf({ ...alone, ssl_trusted_certificate: one.certificate }).warnings).toEqual([])
  expect(trustOf({ ...alone, allow_partial_chain: true }).warnings).toEqual([])
  expect(trustOf({ ...alone, ssl_verify_client: 'optional_no_ca' }).warnings).toEqual([])
})

test('what cannot be read is a problem, and trusts nobody', () => {
  const broken = one.certificate.replace(/\n.{20}/, '\nAAAAAAAAAAAAAAAAAAAA')
  const { trust, problems } = trustOf({ ssl_client_certificate: broken })
  expect(problems).toHaveLength(1)
  expect(trust?.certificates).toEqual([])
})
