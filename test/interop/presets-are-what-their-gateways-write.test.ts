// Each preset beside the real gateway whose dialect it is, where that one can write it: a backend must not be able to tell which of the two it has in front.
import { beforeAll, describe, expect, test } from '@jest/globals'
import { headersOf, type PresetName } from '../../src/identity/presets.ts'
import { startApache } from '../support/apache.ts'
import { AWKWARD, clients } from '../support/awkward-certificates.ts'
import { type Backend, startBackend } from '../support/backend.ts'
import { startCaddy } from '../support/caddy.ts'
import { ask } from '../support/client.ts'
import { temporaryFile } from '../support/folder.ts'
import { freePort } from '../support/free-port.ts'
import { type Gateway, startGateway } from '../support/gateway.ts'
import { startHaproxy } from '../support/haproxy.ts'
import { nameOf } from '../support/names.ts'
import { startNginx } from '../support/nginx.ts'
import { describeWith } from '../support/peers.ts'
import { authority, type Issued, selfSigned } from '../support/pki.ts'

const front = authority('servers').server('localhost')
const frontFiles = front.files()
const trusted = temporaryFile('clients.pem', clients.certificate)
const between = clients.authority('between')
/** What every gateway can write alike: more than that is a matter of nginx alone. */
const ORDINARY: readonly Issued[] = [
  clients.client('ada'),
  clients.client('named', {
    subject: nameOf(['C', 'DE'], ['ST', 'Hessen'], ['O', 'Foo'], ['OU', 'IT'], ['CN', 'Ada Lovelace']),
    uris: ['spiffe://td.test/ns/a/sa/b'],
    hosts: ['ada.test', 'b.test'],
    serial: Buffer.from([0x0a, 0xbc, 0x01]),
  }),
  clients.client('rsa', { keyType: 'rsa' }),
]

let backend: Backend

beforeAll(async () => {
  backend = await startBackend({})
})

async function gatewayWith(presets: readonly PresetName[], mode = 'optional', rest: object = {}): Promise<Gateway> {
  const server = {
    server_names: ['localhost'],
    ssl_certificate: front.chain,
    ssl_certificate_key: front.key,
    ssl_client_certificate: clients.certificate,
    ssl_verify_client: mode,
  }
  return startGateway({
    config: {
      listeners: [{ listen: '127.0.0.1:0', servers: [server] }],
      services: [{ name: 'api', url: backend.url, routes: [{ name: 'all', paths: ['/'] }] }],
      identity_headers: {},
      identity_presets: presets,
      admin: { listen: 'off' },
      ...rest,
    },
  })
}

/** Status, and the headers of these names as the backend saw them; an empty value is as good as none. */
async function told(port: number, names: readonly string[], as: Issued | undefined) {
  backend.reset()
  const { status } = await ask(port, '/', as ? { as } : {})
  const [seen] = backend.seen
  const headers = names.map((name) => [name, seen?.header(name).filter((value) => value !== '')])
  return { status, headers: Object.fromEntries(headers) }
}

describeWith(['nginx'], 'nginx', () => {
  const NGINX: Readonly<Record<string, string>> = {
    'X-SSL-Client-Verify': '$ssl_client_verify',
    'X-SSL-Client-S-DN': '$ssl_client_s_dn',
    'X-SSL-Client-I-DN': '$ssl_client_i_dn',
    'X-SSL-Client-Serial': '$ssl_client_serial',
    'X-SSL-Client-Fingerprint': '$ssl_client_fingerprint',
    'X-SSL-Client-V-Start': '$ssl_client_v_start',
    'X-SSL-Client-V-End': '$ssl_client_v_end',
    'X-SSL-Client-Escaped-Cert': '$ssl_client_escaped_cert',
    // As ingress-nginx's template sets them.
    'ssl-client-verify': '$ssl_client_verify',
    'ssl-client-subject-dn': '$ssl_client_s_dn',
    'ssl-client-issuer-dn': '$ssl_client_i_dn',
    'ssl-client-cert': '$ssl_client_escaped_cert',
    // As Kong, which is an nginx, fills them.
    'X-Client-Cert': '$ssl_client_escaped_cert',
    'X-Client-Cert-Serial': '$ssl_client_serial',
    'X-Client-Cert-Issuer-DN': '$ssl_client_i_dn',
    'X-Client-Cert-Subject-DN': '$ssl_client_s_dn',
    'X-Client-Cert-Fingerprint': '$ssl_client_fingerprint',
  }
  let peer: number
  let gateway: Gateway

  beforeAll(async () => {
    peer = await freePort()
    const set = Object.entries(NGINX).map(([name, variable]) => `proxy_set_header ${name} ${variable};`)
    await startNginx(
      peer,
      `proxy_headers_hash_max_size 1024;
      server {
        listen 127.0.0.1:${peer} ssl;
        ssl_certificate ${frontFiles.certificate};
        ssl_certificate_key ${frontFiles.key};
        ssl_client_certificate ${trusted};
        ssl_verify_client optional;
        location / { proxy_pass ${backend.url}; ${set.join('\n')} }
      }`,
    )
    gateway = await gatewayWith(['nginx', 'ingress-nginx', 'kong'])
  })

  test('writes every header of the presets nginx and ingress-nginx, and of kong all that stands in the certificate', () => {
    const ours = (['nginx', 'ingress-nginx', 'kong'] as const).flatMap(headersOf)
    expect(ours.filter((name) => !/Consumer|Credential/.test(name))).toEqual(Object.keys(NGINX))
  })

  test.each(AWKWARD.map((one) => [one.name, one.certificate] as const))('%s', async (_name, as) => {
    expect(await told(gateway.port, Object.keys(NGINX), as)).toEqual(await told(peer, Object.keys(NGINX), as))
  })

  test('no certificate', async () => {
    expect(await told(gateway.port, Object.keys(NGINX), undefined)).toEqual(
      await told(peer, Object.keys(NGINX), undefined),
    )
  })
})

describeWith(['haproxy'], 'HAProxy', () => {
  const HAPROXY: Readonly<Record<string, string>> = {
    'X-SSL': '%[ssl_fc]',
    'X-SSL-Client-Verify': '%[ssl_c_verify]',
    'X-SSL-Client-SHA1': '%[ssl_c_sha1,hex]',
    'X-SSL-Client-DN': '%{+Q}[ssl_c_s_dn]',
    'X-SSL-Client-CN': '%{+Q}[ssl_c_s_dn(cn)]',
    'X-SSL-Issuer': '%{+Q}[ssl_c_i_dn]',
    'X-SSL-Client-NotBefore': '%{+Q}[ssl_c_notbefore]',
    'X-SSL-Client-NotAfter': '%{+Q}[ssl_c_notafter]',
    'X-SSL-Client-Cert': '%[ssl_c_der,base64]',
    'Client-Cert': ':%[ssl_c_der,base64]:',
    'X-Client-Cert-X5t-S256': '%[ssl_c_der,sha2(256),ub64enc]',
    'X-Forwarded-Client-Cert': 'Hash=%[ssl_c_der,sha2(256),hex,lower]',
    'X-Forwarded-Tls-Client-Cert': '%[ssl_c_der,base64]',
  }
  let peer: number

  beforeAll(async () => {
    peer = await freePort()
    const pem = temporaryFile('front.pem', front.chain + front.key)
    const set = Object.entries(HAPROXY).map(([name, value]) => `http-request set-header ${name} ${value}`)
    // Bad certificates end the handshake in HAProxy, unless their errors are ignored: then ssl_c_verify tells.
    await startHaproxy(
      peer,
      `frontend in
        bind 127.0.0.1:${peer} ssl crt ${pem} ca-file ${trusted} verify optional ca-ignore-err all crt-ignore-err all
        ${set.join('\n        ')}
        default_backend api
      backend api
        server api 127.0.0.1:${backend.port}`,
    )
  })

  test('writes every header of the preset haproxy', () => {
    expect(Object.keys(HAPROXY)).toEqual(expect.arrayContaining(headersOf('haproxy')))
  })

  // Its own names have HAProxy's oldest form, which is not the same beyond ASCII; ours never leaves ASCII.
  const issuer = authority('plain issuer')
  const plain: readonly (readonly [string, Issued])[] = ORDINARY.map((one) => [one.name, one])

  test.each(plain)('%s', async (_name, as) => {
    const gateway = await gatewayWith(['haproxy', 'rfc9440', 'x5t#S256', 'envoy', 'traefik'], 'optional', {
      set_current_client_cert_details: [],
    })
    const names = Object.keys(HAPROXY).filter((name) => name !== 'X-SSL-Issuer')
    expect(await told(gateway.port, names, as)).toEqual(await told(peer, names, as))
  })

  test.each([
    ['self-signed', selfSigned('mallory')],
    ['of an unknown authority', issuer.client('eve')],
  ])('a certificate that is %s: the number of the verdict, the issuer', async (_what, as) => {
    const gateway = await gatewayWith(['haproxy'], 'optional_no_ca')
    const names = headersOf('haproxy')
    expect(await told(gateway.port, names, as)).toEqual(await told(peer, names, as))
  })
})

describeWith(['caddy'], 'Caddy', () => {
  const CADDY: Readonly<Record<string, string>> = {
    'Client-Cert': ':{http.request.tls.client.certificate_der_base64}:',
    'X-Forwarded-Client-Cert':
      'Hash={http.request.tls.client.fingerprint};Subject=\\"{http.request.tls.client.subject}\\"',
    'X-Forwarded-Tls-Client-Cert': '{http.request.tls.client.certificate_der_base64}',
    'X-Serial': '{http.request.tls.client.serial}',
  }
  let peer: number
  let gateway: Gateway

  beforeAll(async () => {
    peer = await freePort()
    const set = Object.entries(CADDY).map(([name, value]) => `header_up ${name} "${value}"`)
    await startCaddy(
      peer,
      `https://localhost:${peer} {
        bind 127.0.0.1
        tls ${frontFiles.certificate} ${frontFiles.key} {
          client_auth {
            mode require_and_verify
            trusted_ca_cert_file ${trusted}
          }
        }
        reverse_proxy ${backend.url} {
          ${set.join('\n          ')}
        }
      }`,
    )
    gateway = await gatewayWith(['rfc9440', 'envoy', 'traefik'], 'on', {
      identity_headers: { 'X-Serial': 'serial_decimal' },
      set_current_client_cert_details: ['subject'],
    })
  })

  test.each(ORDINARY.map((one) => [one.name, one] as const))('%s', async (_name, as) => {
    expect(await told(gateway.port, Object.keys(CADDY), as)).toEqual(await told(peer, Object.keys(CADDY), as))
  })
})

describe('a certificate below an intermediate', () => {
  test('is told with its chain where the dialect has a word for it', async () => {
    const gateway = await gatewayWith(['rfc9440'])
    const { headers } = await told(gateway.port, ['Client-Cert-Chain'], between.client('ada'))
    expect(headers).toEqual({ 'Client-Cert-Chain': [`:${between.der.toString('base64')}:`] })
  })
})

const NOT_ALIKE: readonly RegExp[] = [
  // UTF-8 there, escaped here.
  /UTF-8|BMP|Universal|Latin|C1/,
  // The CN alone has a backslash for these there, and percent signs here.
  /every character that is escaped|a tab|a line break|NUL|DEL|blank/,
  // Apache ends the handshake.
  /expired|not yet valid|for servers|for mail|beyond|must have none|is no CA/,
  // Apache shows chains that nobody has verified.
  /sent along|unknown CA, with its intermediate/,
]

describeWith(['apache2'], 'Apache', () => {
  // Apache writes names in UTF-8, ours never leave ASCII: the issuer, whose name is not ASCII, is compared for strangers.
  const names = headersOf('apache').filter((name) => name !== 'SSL_CLIENT_I_DN')
  let peer: number
  let gateway: Gateway

  beforeAll(async () => {
    peer = await freePort()
    await startApache(
      peer,
      `SSLEngine on
      SSLCertificateFile ${frontFiles.certificate}
      SSLCertificateKeyFile ${frontFiles.key}
      SSLCACertificateFile ${trusted}
      SSLVerifyClient optional_no_ca
      SSLVerifyDepth 2
      SSLOptions +StdEnvVars +ExportCertData
      ${headersOf('apache')
        .map((name) => `RequestHeader set ${name} %{${name}}s`)
        .join('\n')}
      ProxyPass / ${backend.url}/`,
    )
    gateway = await gatewayWith(['apache'], 'optional_no_ca')
  })

  /** What is not there is `(null)` in Apache. */
  async function toldByApache(wanted: readonly string[], as: Issued | undefined) {
    const { status, headers } = await told(peer, wanted, as)
    const there = Object.entries<string[] | undefined>(headers).map(([name, values]) => [
      name,
      values?.filter((value) => value !== '(null)'),
    ])
    return { status, headers: Object.fromEntries(there) }
  }

  const alike = AWKWARD.filter(({ name }) => !NOT_ALIKE.some((different) => different.test(name)))

  test.each([
    ...ORDINARY.map((one) => [one.name, one] as const),
    ...alike.map(({ name, certificate }) => [name, certificate] as const),
  ])('%s', async (_name, as) => {
    expect(await told(gateway.port, names, as)).toEqual(await toldByApache(names, as))
  })

  test.each<[string, Issued | undefined]>([
    ['no certificate', undefined],
    ['a self-signed one', selfSigned('mallory')],
    ['one of an unknown authority', authority('plain issuer').client('eve')],
  ])('%s', async (_what, as) => {
    expect(await told(gateway.port, headersOf('apache'), as)).toEqual(await toldByApache(headersOf('apache'), as))
  })
})
