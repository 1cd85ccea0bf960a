import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { bitString, boolean, explicit, implicit, sequence } from '../support/der.ts'
import { temporaryFile } from '../support/folder.ts'
import { type Gateway, type LogLine, sallyport } from '../support/gateway.ts'
import { authority, extension, type Issued } from '../support/pki.ts'
import { type GatewayConfig, listenerOf, makeScene, type Scene } from '../support/scene.ts'

let scene: Scene
let gateway: Gateway

beforeAll(async () => {
  scene = await makeScene()
  gateway = await scene.start({ reload: { watch: false } })
})

/** What the log warns of when the gateway takes this configuration: a reload warns as a start does, and takes less time. */
async function warningsFor(config: GatewayConfig): Promise<string[]> {
  // First one without lists, since a reload also warns of lists that are older than those in use.
  await take({})
  const before = gateway.log.length
  await take(config)
  return warningsIn(gateway.log.slice(before))
}

async function take(config: GatewayConfig): Promise<void> {
  const outcome = await gateway.reload(scene.config({ reload: { watch: false }, ...config }))
  expect(outcome).toMatchObject({ msg: 'reloaded' })
}

function warningsIn(log: readonly LogLine[]): string[] {
  return log.filter(({ level }) => level === 'warn').map((line) => JSON.stringify(line))
}

/** The same for a server with these fields. */
function warnings(fields: object): Promise<string[]> {
  return warningsFor(listenerOf(scene.server(fields)))
}

test('a start warns as a reload does', async () => {
  const started = await scene.start(listenerOf(scene.server({ server_names: ['x.test'] })))
  expect(warningsIn(started.log)).toEqual([expect.stringContaining('does not hold the server name x.test')])
  await started.stop()
})

test('nothing is warned of where everything works', async () => {
  expect(await warnings({ server_names: ['localhost', '127.0.0.1', '_', 'localhost.*'] })).toEqual([])
})

test('authorities of clients where no client is asked for a certificate', async () => {
  expect(await warnings({ ssl_verify_client: undefined })).toEqual([
    expect.stringMatching(/ssl_client_certificate.*has no effect while ssl_verify_client is off/),
  ])
})

test('an authority that has expired', async () => {
  const old = authority('old', { validFrom: -9, validUntil: -1 })
  expect(await warnings({ ssl_client_certificate: scene.clients.certificate + old.certificate })).toEqual([
    expect.stringMatching(/ssl_client_certificate.*the authority CN=old expired on \d{4}-.*nobody whom it certified/),
  ])
})

test('an authority that has expired, or will be valid, beside its other form is no harm', async () => {
  const now = authority('root')
  const keys = { privateKey: now.privateKey, publicKey: createPublicKey(now.privateKey) }
  const old = authority('root', { keys, validFrom: -9, validUntil: -1 })
  const next = authority('root', { keys, validFrom: 9 })
  expect(await warnings({ ssl_client_certificate: old.certificate + now.certificate + next.certificate })).toEqual([
    expect.stringMatching(/the authority CN=root expired on \d{4}-.*its renewed form beside it counts/),
  ])
  const namesake = authority('root')
  expect(await warnings({ ssl_client_certificate: old.certificate + namesake.certificate })).toEqual([
    expect.stringMatching(/CN=root expired on .*nobody whom it certified/),
  ])
})

test('an authority without its root, or a client where its authority should stand', async () => {
  const department = scene.clients.authority('department')
  const [alone, together] = [department.certificate, department.certificate + scene.clients.certificate]
  expect(await warnings({ ssl_client_certificate: alone })).toEqual([
    expect.stringMatching(/ssl_client_certificate.*the issuer of CN=department, CN=[^:]+, is not there: nobody/),
  ])
  expect(await warnings({ ssl_client_certificate: scene.ada.certificate })).toEqual([
    expect.stringMatching(
      /ssl_client_certificate.*CN=ada is no authority .* name the authority that certified it, CN=/,
    ),
  ])
  expect(await warnings({ ssl_client_certificate: together })).toEqual([])
  expect(await warnings({ ssl_client_certificate: alone, allow_partial_chain: 'on' })).toEqual([])
})

test('a certificate without the intermediate that issued it, where that is known here', async () => {
  const department = scene.clients.authority('department')
  const { certificate, chain, key } = department.server('localhost')
  const both = { ssl_client_certificate: department.certificate + scene.clients.certificate, ssl_certificate_key: key }
  expect(await warnings({ ...both, ssl_certificate: certificate })).toEqual([
    expect.stringMatching(/ssl_certificate: CN=department, which issued CN=localhost and is no root, .* append/),
  ])
  expect(await warnings({ ...both, ssl_certificate: chain })).toEqual([])
})

test('a certificate that is not followed by its issuer', async () => {
  const department = scene.clients.authority('department')
  const { certificate, key } = department.server('localhost')
  const shown = (...others: string[]) =>
    warnings({ ssl_certificate: [certificate, ...others].join(''), ssl_certificate_key: key })
  const stranger = authority('stranger').certificate
  for (const others of [[scene.clients.certificate, department.certificate], [stranger]])
    expect(await shown(...others)).toEqual([
      expect.stringMatching(
        /ssl_certificate: CN=localhost is followed by CN=\w+, which did not issue it: .* CN=depart/,
      ),
    ])
  expect(await shown(department.certificate, scene.clients.certificate)).toEqual([])
})

test('the certificate of an API, or an intermediate alone, in place of its authority', async () => {
  const { inside } = scene
  const department = inside.authority('department')
  const trusting = (trusted: string, url = scene.backend.url) => {
    const routed = (name: string) => ({ name, url, routes: [{ name, paths: [`/${name}`] }] })
    return warningsFor({ proxy: { proxy_ssl_trusted_certificate: trusted }, services: [routed('a'), routed('b')] })
  }
  expect(await trusting(inside.server('api').certificate)).toEqual([
    expect.stringMatching(/proxy_ssl_trusted_certificate: CN=api is no authority .* name the authority .*, CN=/),
  ])
  expect(await trusting(department.certificate)).toEqual([
    expect.stringMatching(/proxy_ssl_trusted_certificate: the issuer of CN=department, CN=[^:]+, is not there: no API/),
  ])
  expect(await trusting(department.certificate + inside.certificate)).toEqual([])
})

test('an authority that another has certified too is its own root, unless OpenSSL would take the other form, which ends later', async () => {
  const root = authority('root')
  const keys = { privateKey: root.privateKey, publicKey: createPublicKey(root.privateKey) }
  const elder = authority('elder')
  const [shorter, longer] = [364, 366].map((validUntil) => elder.authority('root', { keys, validUntil }).certificate)
  const trusting = (form = '') => {
    const trusted = form + root.certificate
    return warningsFor({
      ...listenerOf(scene.server({ ssl_client_certificate: trusted })),
      proxy: { proxy_ssl_trusted_certificate: trusted },
      services: [{ name: 'api', url: scene.backend.url, routes: [{ name: 'api', paths: ['/'] }] }],
    })
  }
  expect(await trusting(shorter)).toEqual([])
  expect(await trusting(longer)).toEqual([
    expect.stringMatching(/proxy_ssl_trusted_certificate: the issuer of CN=root, CN=elder, is not there/),
    expect.stringMatching(/ssl_client_certificate: the issuer of CN=root, CN=elder, is not there/),
  ])
  const { certificate, key } = root.server('localhost')
  const chain = certificate + shorter + root.certificate
  expect(await warnings({ ssl_certificate: chain, ssl_certificate_key: key })).toEqual([])
})

test('a list whose issuer nobody trusts', async () => {
  const strangers = authority('strangers')
  expect(await warnings({ ssl_crl: scene.clients.crl() + strangers.crl() })).toEqual([
    expect.stringMatching(/ssl_crl.*the list of CN=strangers belongs to no CA/),
  ])
})

test('a list that is over, and one that is not valid yet', async () => {
  const [over, early] = [scene.clients.crl([], { nextUpdate: -0.5 }), scene.clients.crl([], { thisUpdate: 2 })]
  expect(await warnings({ ssl_crl: over })).toEqual([
    expect.stringMatching(/ssl_crl.*the list of CN=clients was to be replaced by \d{4}-.*until it is, every client/),
  ])
  expect(await warnings({ ssl_crl: early })).toEqual([
    expect.stringMatching(/ssl_crl.*the list of CN=clients is not valid before \d{4}-.*until then every client/),
  ])
})

test('not of one that is over beside a current one, which counts', async () => {
  const over = scene.clients.crl([], { thisUpdate: -2, nextUpdate: -0.5 })
  expect(await warnings({ ssl_crl: over + scene.clients.crl() })).toEqual([])
  const namesake = authority('clients')
  const trusted = { ssl_client_certificate: scene.clients.certificate + namesake.certificate }
  expect(await warnings({ ...trusted, ssl_crl: over + namesake.crl() })).toContainEqual(
    expect.stringMatching(/ssl_crl.*the list of CN=clients was to be replaced/),
  )
})

test('lists that are not looked at, and one that is over where its clients are let in all the same', async () => {
  expect(await warnings({ ssl_crl: scene.clients.crl(), revocation_check_mode: 'SKIP' })).toEqual([
    expect.stringMatching(/revocation_check_mode: is SKIP: nobody looks at lists, and whoever is revoked is let in/),
  ])
  const over = { ssl_crl: scene.clients.crl([], { nextUpdate: -0.5 }), revocation_check_mode: 'IGNORE_CA_ERROR' }
  expect(await warnings(over)).toEqual([
    expect.stringMatching(
      /ssl_crl.*was to be replaced by \d{4}-.*clients of this CA are let in unless it revokes them/,
    ),
  ])
})

test('an authority of whom there is no list, where that refuses everybody whom it certified', async () => {
  const department = scene.clients.authority('department')
  const bundle = { ssl_client_certificate: scene.clients.certificate + department.certificate }
  expect(await warnings({ ...bundle, ssl_crl: scene.clients.crl() })).toEqual([
    expect.stringMatching(/ssl_crl.*there is no list of CN=department: until there is one, every client of this CA is/),
  ])
  const namesake = authority('clients')
  const alike = { ssl_client_certificate: scene.clients.certificate + namesake.certificate }
  expect(await warnings({ ...alike, ssl_crl: scene.clients.crl() })).toEqual([
    expect.stringContaining(`no list of CN=clients (of that name, the one with serial ${namesake.x509.serialNumber})`),
  ])
  const leaf = { ssl_crl: department.crl(), ssl_crl_check: 'leaf' }
  const fetched = { ssl_crl: scene.clients.crl(), ssl_crl_fetch: 'on' }
  const ignored = { ssl_crl: scene.clients.crl(), revocation_check_mode: 'IGNORE_CA_ERROR' }
  for (const fields of [leaf, fetched, ignored]) expect(await warnings({ ...bundle, ...fields })).toEqual([])
})

test('a list that does not cover the root where that needs one too, and an authority that may not sign lists', async () => {
  const ofUsers = implicit(1, Buffer.from([0xff]))
  const ofOnePoint = explicit(0, explicit(0, implicit(6, Buffer.from('http://lists.test/1.crl'))))
  for (const scope of [ofUsers, ofOnePoint]) {
    const list = scene.clients.crl([], { extensions: [extension('2.5.29.28', sequence(scope), true)] })
    expect(await warnings({ ssl_crl: list })).toEqual([
      expect.stringMatching(/ssl_crl.*no list of CN=clients covers the authority.*every client.*ssl_crl_check: leaf/),
    ])
    expect(await warnings({ ssl_crl: list, ssl_crl_check: 'leaf' })).toEqual([])
  }
  const [isAuthority, mayCertify] = [
    extension('2.5.29.19', sequence(boolean(true)), true),
    extension('2.5.29.15', bitString(Buffer.from([0x04]), 2), true),
  ]
  const mute = authority('mute', { onlyExtensions: [isAuthority, mayCertify] })
  expect(await warnings({ ssl_client_certificate: mute.certificate, ssl_crl: mute.crl() })).toEqual([
    expect.stringMatching(/ssl_crl.*CN=mute may not sign lists, as its key usage lacks cRLSign: every client/),
  ])
})

test('an authority without its root that would need a list of the root', async () => {
  const department = scene.clients.authority('department')
  const partial = { ssl_client_certificate: department.certificate, allow_partial_chain: 'on' }
  expect(await warnings({ ...partial, ssl_crl: department.crl() })).toEqual([
    expect.stringMatching(/ssl_crl.*CN=department is trusted without its issuer.*set ssl_crl_check: leaf/),
  ])
  expect(await warnings({ ...partial, ssl_crl: department.crl(), ssl_crl_check: 'leaf' })).toEqual([])
})

test.each(['www.example.test', '*.example.test', '192.0.2.1'])(
  'a server name that its certificate does not hold: %s',
  async (name) => {
    const [warned, ...more] = await warnings({ server_names: ['localhost', name] })
    expect(warned).toMatch('ssl_certificate')
    expect(warned).toContain(`the certificate does not hold the server name ${name}`)
    expect(more).toEqual([])
  },
)

test('a name of a wildcard is held by it', async () => {
  const { chain, key } = scene.servers.server('*.example.test')
  const names = { server_names: ['a.example.test', '*.example.test'], ssl_certificate: chain, ssl_certificate_key: key }
  expect(await warnings(names)).toEqual([])
})

describe('a registry gate whose challenge leads to no token server', () => {
  const AUTH = '/auth/realms/acme/protocol/docker-v2/auth'
  const tokens = (route: object = {}) => ({
    name: 'tokens',
    builtin: 'registry-tokens',
    routes: [{ name: 'tokens', paths: ['/auth'], ...route }],
  })

  function warned(
    gateRoute: object,
    others: readonly object[],
    realm: object = {},
    listeners: object = {},
  ): Promise<string[]> {
    const signer = scene.inside.client('signer')
    const registry = {
      name: 'registry',
      url: scene.backend.url,
      registry: { realm: 'acme', service: 'registry.test' },
      routes: [{ name: 'gate', paths: ['/'], strip_path: false, ...gateRoute }],
    }
    const config = {
      ...listeners,
      certificates: [{ name: 'signer', cert: signer.chain, key: signer.key }],
      registry_realms: [{ name: 'acme', services: ['registry.test'], certificate: 'signer', ...realm }],
      services: [...others, registry],
    }
    return warningsFor(config)
  }

  test.each<[string, object, readonly object[], object]>([
    ['both for all hosts', {}, [tokens()], {}],
    ['both for one host', { hosts: ['registry.test'] }, [tokens({ hosts: ['registry.test'] })], {}],
    ['all hosts, and tokens at one of them', {}, [tokens({ hosts: ['registry.test:5443'] })], {}],
    ['a wildcard', { hosts: ['*.test'] }, [tokens({ hosts: ['*.test'] })], {}],
    ['the host of the url', { hosts: ['a.test'] }, [tokens({ hosts: ['b.test'] })], { url: 'https://b.test:8443' }],
  ])('nothing is warned of with %s', async (_what, gate, others, realm) => {
    expect(await warned(gate, others, realm)).toEqual([])
  })

  test.each<[object, string]>([
    [{ paths: ['/v2'], strip_path: true }, '/v2/app/tags/list comes to the registry as /app/tags/list'],
    [{ paths: ['/v2/team/'], strip_path: true }, '/v2/team/tags/list comes to the registry as /tags/list'],
    [{ paths: ['/docker'] }, '/docker/v2/app/tags/list comes to the registry as /docker/v2/app/tags/list'],
  ])('nor do its requests keep their /v2 at the route %j', async (gate, told) => {
    expect(await warned(gate, [tokens()])).toEqual([expect.stringContaining(told)])
  })

  test('a life of tokens that clients take for a minute is warned of', async () => {
    const told = 'registry_realms[0].token_lifetime: is less than a minute'
    expect(await warned({}, [tokens()], { token_lifetime: '59s' })).toEqual([expect.stringContaining(told)])
    expect(await warned({}, [tokens()], { token_lifetime: '60s' })).toEqual([])
  })

  test.each([{ paths: ['/v2'] }, { paths: ['/docker'], strip_path: true }, { paths: ['/'], strip_path: true }])(
    'nothing is warned of where they keep it, as at the route %j',
    async (gate) => {
      expect(await warned(gate, [tokens()])).toEqual([])
    },
  )

  test('robots whom a rule of the token server asks for a password', async () => {
    const robots = [{ name: 'robot$ci', secret_sha256: 'a'.repeat(64) }]
    const asking = { rules: [['certificate'], ['password']], anonymous: true }
    const told = [expect.stringMatching(/routes\[0\]: a rule asks for a password, which no robot has/)]
    expect(await warned({}, [tokens(asking)], { robots })).toEqual(told)
    expect(await warned(asking, [tokens({ rules: [['certificate']] })], { robots })).toEqual([])
    expect(await warned({}, [tokens(asking)])).toEqual([])
  })

  test('users of certificates whom nothing asks for, there and at its tokens', async () => {
    const authorization = { users: [{ user: 'ada', certificate: ['cn:ada'] }] }
    const listeners = listenerOf(scene.server({ ssl_verify_client: 'optional', authorization }))
    const asked = { rules: [['certificate']], anonymous: true }
    expect(await warned({}, [tokens()], {}, listeners)).toEqual([
      expect.stringMatching(/authorization: has users, .* at the registry their certificates open nothing; set rules/),
    ])
    expect(await warned(asked, [tokens(asked)], {}, listeners)).toEqual([])
  })

  test.each<[string, object, readonly object[], string, object]>([
    ['there is none', {}, [], AUTH, {}],
    ['it is at other paths', {}, [tokens({ paths: ['/tokens'] })], AUTH, {}],
    [
      'the route of the gate has a host, and so goes first',
      { hosts: ['a.test'] },
      [tokens()],
      `https://a.test${AUTH}`,
      {},
    ],
    ['one of the hosts', { hosts: ['a.test', 'b.test'] }, [tokens({ hosts: ['a.test'] })], `https://b.test${AUTH}`, {}],
    ['not at the url', {}, [tokens({ hosts: ['a.test'] })], `https://b.test${AUTH}`, { url: 'https://b.test' }],
  ])('%s', async (_what, gate, others, where, realm) => {
    const [warning, ...more] = await warned(gate, others, realm)
    expect(warning).toMatch(/gateway\.yaml:\d+:\d+: services\[\d\]\.registry: /)
    expect([warning, more]).toEqual([expect.stringContaining(` to ${where} for a token`), []])
  })
})

test('check tells it too, with the line', async () => {
  const file = temporaryFile(
    'gateway.yaml',
    JSON.stringify(scene.config(listenerOf(scene.server({ server_names: ['x.test'] }))), null, 1),
  )
  const { status, stdout } = await sallyport(['check', '-c', file])
  expect([status, stdout]).toEqual([
    0,
    expect.stringMatching(/warning: .*gateway\.yaml:\d+:\d+: .*server name x\.test/),
  ])
})

describe('a certificate with a key that no handshake, or hardly one, succeeds with', () => {
  const shown = ({ chain, key }: Issued) => warnings({ ssl_certificate: chain, ssl_certificate_key: key })

  test('one on a curve that TLS 1.3 does not know', async () => {
    const keys = generateKeyPairSync('ec', { namedCurve: 'secp256k1' })
    const odd = scene.servers.server('localhost', { keys })
    const told = /ssl_certificate: CN=localhost has a key on the curve secp256k1: .* have a certificate issued for/
    expect(await shown(odd)).toEqual([expect.stringMatching(told)])
    const client = scene.inside.client('gateway', { keys })
    const proxy = { proxy_ssl_certificate: client.chain, proxy_ssl_certificate_key: client.key }
    const trusted = { proxy_ssl_trusted_certificate: scene.inside.certificate }
    expect(await warningsFor({ proxy: { ...proxy, ...trusted } })).toEqual([
      expect.stringMatching(/proxy_ssl_certificate: CN=gateway has a key on the curve secp256k1/),
    ])
  })

  test('DSA, and RSA-PSS for SHA-1 alone', async () => {
    const dsa = generateKeyPairSync('dsa', { modulusLength: 2048, divisorLength: 256 })
    expect(await shown(scene.servers.server('localhost', { keys: dsa }))).toEqual([
      expect.stringMatching(/ssl_certificate: CN=localhost has a DSA key, with which no handshake succeeds/),
    ])
    const pss = (hashAlgorithm: string) =>
      generateKeyPairSync('rsa-pss', { modulusLength: 2048, hashAlgorithm, mgf1HashAlgorithm: hashAlgorithm })
    expect(await shown(scene.servers.server('localhost', { keys: pss('sha1') }))).toEqual([
      expect.stringMatching(/the RSA-PSS key of CN=localhost is for sha1 alone, with which no handshake succeeds/),
    ])
    expect(await shown(scene.servers.server('localhost', { keys: pss('sha512') }))).toEqual([])
  })

  test.each(['P-521', 'brainpoolP256r1'])('not of %s', async (namedCurve) => {
    const keys = generateKeyPairSync('ec', { namedCurve })
    expect(await shown(scene.servers.server('localhost', { keys }))).toEqual([])
  })
})

test("a certificate for clients of ours that is a client's alone", async () => {
  const { chain, key } = scene.servers.client('localhost', { hosts: ['localhost'] })
  expect(await warnings({ ssl_certificate: chain, ssl_certificate_key: key })).toEqual([
    expect.stringMatching(/ssl_certificate: CN=localhost is not meant for TLS servers/),
  ])
})

describe('ssl_ciphers of which none goes with the key of the certificate', () => {
  const [ec, rsa] = ['ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-RSA-AES128-GCM-SHA256']
  const judged = async (keyType: 'rsa' | 'ec' | 'ed25519', ssl_ciphers: string, ssl_protocols?: string[]) => {
    const { chain, key } = scene.servers.server('localhost', { keyType })
    const shown = { ssl_certificate: chain, ssl_certificate_key: key }
    return (await warnings({ ...shown, ssl_ciphers, ...(ssl_protocols && { ssl_protocols }) })).join('\n')
  }
  const old = ['TLSv1.2']

  test('they are named, with a suite that goes with it', async () => {
    expect(await judged('rsa', ec, old)).toMatch(
      /ssl_ciphers: no suite of it .* whose key is rsa: every handshake fails; add ECDHE-RSA-AES128-GCM-SHA256/,
    )
    expect(await judged('ec', rsa, old)).toMatch(/key is ec: every handshake fails; add ECDHE-ECDSA/)
    expect(await judged('ed25519', rsa, old)).toMatch(/key is ed25519: every handshake fails; add ECDHE-ECDSA/)
    expect(await judged('rsa', 'DHE-RSA-AES128-GCM-SHA256', old)).toMatch(/every handshake fails/)
    expect(await judged('rsa', 'TLS_AES_128_GCM_SHA256', old)).toMatch(/every handshake fails/)
  })

  test('of many names with a certificate each, once', async () => {
    const names = ['one.test', 'two.test']
    const certificates = names.map((name) => {
      const { chain, key } = scene.servers.server(name, { keyType: 'rsa' })
      return { cert: chain, key, snis: [{ name }] }
    })
    const fields = { ssl_certificate: undefined, ssl_certificate_key: undefined, ssl_ciphers: ec, ssl_protocols: old }
    const server = scene.server({ server_names: names, ...fields })
    expect(await warningsFor({ ...listenerOf(server), certificates })).toEqual([
      expect.stringContaining('no suite of it'),
    ])
  })

  test('where TLS 1.3 still works, that is told', async () => {
    expect(await judged('rsa', ec)).toMatch(/every handshake of TLS 1\.2 fails/)
  })

  test('not where one goes with it, or only TLS 1.3 is spoken', async () => {
    expect(await judged('rsa', `${ec}:${rsa}`, old)).toBe('')
    expect(await judged('ed25519', ec, old)).toBe('')
    expect(await judged('rsa', 'HIGH:!aNULL:!MD5')).toBe('')
    expect(await judged('rsa', ec, ['TLSv1.3'])).toBe('')
    expect(await judged('rsa', 'TLS_AES_128_GCM_SHA256')).toBe('')
  })
})

test('an authority with a key that is too short, whatever it certified', async () => {
  const short = authority('short', { keys: generateKeyPairSync('rsa', { modulusLength: 1024 }) })
  const trusted = { ssl_client_certificate: scene.clients.certificate + short.certificate }
  const told = /CN=short has too short a key \(RSA below 2,048 bits\): nobody whom it certified is believed/
  expect(await warnings(trusted)).toEqual([expect.stringMatching(told)])
  expect(await warnings({ ...trusted, ssl_ciphers: 'DEFAULT:@SECLEVEL=0' })).toEqual([])
  expect(await warningsFor({ proxy: { proxy_ssl_trusted_certificate: short.certificate } })).toEqual([
    expect.stringMatching(/proxy_ssl_trusted_certificate.*CN=short has too short a key/),
  ])
})

test('routes that take no request', async () => {
  const routes = [{ paths: ['/a'] }, { paths: ['/a'] }, { paths: ['~//b'] }].map((route, i) => ({
    name: `r${i}`,
    ...route,
  }))
  const warned = await warningsFor({ services: [{ name: 'api', url: scene.backend.url, routes }] })
  expect(warned).toEqual([
    expect.stringMatching(/route r1: the route r0 has/),
    expect.stringMatching(/routes\[2\]\.paths\[0\].*holds \/\/.*matches no request/),
  ])
})

test('times of a few milliseconds, where seconds must have been meant, and a service without a route', async () => {
  const service = { name: 'api', url: scene.backend.url, connect_timeout: 5, read_timeout: 60 }
  const warned = (fields: object) => warningsFor({ services: [{ ...service, ...fields }] })
  const seconds = [
    expect.stringMatching(/services\[0\]\.connect_timeout: is 5 ms, .* write 5000 for seconds/),
    expect.stringMatching(/services\[0\]\.read_timeout: is 60 ms, .* write 60000 for seconds/),
  ]
  expect(await warned({ routes: [{ name: 'all', paths: ['/'] }] })).toEqual(seconds)
  expect(await warned({})).toEqual([...seconds, expect.stringContaining('no route leads to the service api')])
})

test('users of certificates whom nothing asks for, so that their list keeps nobody out', async () => {
  const users = [{ user: 'ada', certificate: ['cn:ada'] }]
  const warned = (server: object, route: object = {}) =>
    warningsFor({
      ...listenerOf(scene.server({ ssl_verify_client: 'on', authorization: { users }, ...server })),
      services: [{ name: 'api', url: scene.backend.url, routes: [{ name: 'all', paths: ['/'], ...route }] }],
    })
  expect(await warned({})).toEqual([
    expect.stringMatching(
      /servers\[0\]\.authorization: has users, but nothing asks who they are: .* set verify_and_map: on/,
    ),
  ])
  expect(await warned({ verify_and_map: true })).toEqual([])
  expect(await warned({}, { rules: [['certificate']] })).toEqual([])
  expect(await warned({}, { allow: [{ users: ['ada'] }] })).toEqual([])
})

describe('a route that needs a certificate where no client is asked for one', () => {
  const askNobody = { server_names: ['localhost'], ssl_verify_client: 'off', ssl_client_certificate: undefined }

  const warned = (route: object, ...others: object[]) =>
    warningsFor({
      ...listenerOf(scene.server(askNobody), ...others),
      consumers: [{ username: 'ada', basicauth_credentials: [{ username: 'ada', password: 'secret of ada' }] }],
      services: [{ name: 'api', url: scene.backend.url, routes: [{ name: 'r', paths: ['/'], ...route }] }],
    }).then((all) => all.filter((line) => /nobody (is let in|satisfies it)/.test(line)))

  const asking = { server_names: ['127.0.0.1'], ssl_verify_client: 'optional' }

  test.each<[string, object]>([
    ['by its rules', { rules: [['certificate'], ['certificate', 'password']] }],
    ['by whom it allows', { allow: [{ users: ['ada'] }] }],
  ])('%s', async (_name, route) => {
    const told =
      /every rule of the route r needs a certificate, but no client is asked for one.*optional and ssl_client/
    expect(await warned(route)).toEqual([expect.stringMatching(told)])
    const at = expect.stringMatching(/at the server of localhost"/)
    expect(await warned({ ...route, hosts: ['localhost'] }, scene.server(asking))).toEqual([at])
  })

  test.each<[string, object]>([
    ['one of several rules', { rules: [['certificate'], ['password']] }],
    ['a rule that need not be satisfied', { rules: [['certificate']], anonymous: true }],
  ])('%s', async (_name, route) => {
    const told = /a rule of the route r needs a certificate, but no client is asked for one: nobody satisfies it/
    expect(await warned(route)).toEqual([expect.stringMatching(told)])
  })

  test('by ssl_verify_client, while the server of another name asks', async () => {
    const demand = { ssl_verify_client: 'on' }
    const told = expect.stringMatching(/the route r has ssl_verify_client: on, but .* at the server of localhost"/)
    expect(await warned({ hosts: ['localhost:8443'], ...demand }, scene.server(asking))).toEqual([told])
    for (const hosts of [undefined, ['localhost', '127.0.0.1'], ['*.test']]) {
      expect(await warned({ hosts, ...demand }, scene.server(asking))).toEqual([])
    }
  })

  test('by its rules, and does not look at one itself', async () => {
    const route = { ssl_verify_client: 'off', rules: [['certificate']] }
    const told = expect.stringMatching(/needs a certificate, and ssl_verify_client: off/)
    expect(await warned(route, scene.server(asking))).toEqual([told])
  })
})

test("a certificate for APIs that is a server's alone", async () => {
  const { inside, own } = scene
  const both = inside.server('gateway', { purposes: ['serverAuth', 'clientAuth'] })
  const warned = ({ chain, key }: { chain: string; key: string }) => {
    const proxy = {
      proxy_ssl_certificate: chain,
      proxy_ssl_certificate_key: key,
      proxy_ssl_trusted_certificate: inside.certificate,
    }
    return warningsFor({ proxy })
  }
  expect(await warned(inside.server('gateway'))).toEqual([
    expect.stringMatching(/proxy_ssl_certificate: CN=gateway is not meant for TLS clients/),
  ])
  expect(await warned(both)).toEqual([])
  expect(await warned(own)).toEqual([])
})
