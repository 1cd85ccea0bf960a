// The real nginx, HAProxy, Apache and Caddy end the client's TLS and tell its certificate in a header: the backend must learn the same as from TLS with the gateway itself.
import { beforeAll, beforeEach, expect, test } from '@jest/globals'
import { startApache } from '../support/apache.ts'
import { startCaddy } from '../support/caddy.ts'
import { ask } from '../support/client.ts'
import { temporaryFile } from '../support/folder.ts'
import { freePort } from '../support/free-port.ts'
import type { Gateway } from '../support/gateway.ts'
import { startHaproxy } from '../support/haproxy.ts'
import { startNginx } from '../support/nginx.ts'
import { describeWith } from '../support/peers.ts'
import { authority, type Issued, selfSigned } from '../support/pki.ts'
import { listenerOf, makeScene, type Scene } from '../support/scene.ts'

let scene: Scene
let revoked: Issued
let trusted: string

beforeAll(async () => {
  scene = await makeScene()
  revoked = scene.clients.client('revoked')
  trusted = temporaryFile('clients.pem', scene.clients.certificate)
})

beforeEach(() => scene.backend.reset())

function gatewayReading(header: object): Promise<Gateway> {
  const server = scene.server({ ssl_crl: scene.clients.crl([revoked]), ...header })
  return scene.start({ ...listenerOf(server), trusted_ips: ['127.0.0.1'] })
}

async function told(port: number, as: Issued | undefined) {
  scene.backend.reset()
  const { status } = await ask(port, '/', as ? { as } : {})
  return { status, told: scene.backend.seen.map((seen) => [...seen.header('VERIFIED'), ...seen.header('DN')]) }
}

/** The same through the load balancer and without it. */
function behaves(
  start: () => Promise<{ balancer: number; gateway: Gateway; judges: boolean }>,
  without: readonly [status: number, verified: readonly string[] | undefined] = [200, ['NONE']],
): void {
  let balancer: number
  let judges: boolean
  let gateway: Gateway
  let direct: Gateway

  beforeAll(async () => {
    ;({ balancer, gateway, judges } = await start())
    direct = await gatewayReading({})
  })

  test.each<[string, () => Issued | undefined]>([
    ['a good certificate', () => scene.ada],
    ['a revoked one', () => revoked],
  ])('%s', async (_what, as) => {
    expect(await told(balancer, as())).toEqual(await told(direct.port, as()))
  })

  test.each<[string, () => Issued]>([
    ['of nobody', () => selfSigned('mallory')],
    ['of an unknown authority', () => authority('clients').client('mallory')],
    ['that has expired', () => scene.clients.client('old', { validFrom: -9, validUntil: -1 })],
  ])('a certificate %s is refused, by the gateway where the load balancer lets it pass', async (_what, as) => {
    const outcome = await told(balancer, as()).catch(() => 'handshake refused' as const)
    if (judges) expect(outcome === 'handshake refused' || outcome.status === 400).toBe(true)
    else expect(outcome).toEqual({ status: 400, told: [] })
    expect(scene.backend.seen).toEqual([])
  })

  test('none', async () => {
    const {
      status,
      told: [verified],
    } = await told(balancer, undefined)
    expect([status, verified]).toEqual(without)
  })

  test('what the client writes itself under that name does not arrive', async () => {
    const own = scene.ada.der.toString('base64')
    const headers = { 'client-cert': `:${own}:`, 'x-client-certificate': own }
    const { status } = await ask(balancer, '/', { headers })
    expect([status, scene.backend.seen[0]?.header('VERIFIED')]).toEqual(without)
    expect(gateway.child.running).toBe(true)
  })
}

describeWith(['nginx'], 'nginx, which asks and does not judge', () => {
  behaves(async () => {
    const gateway = await gatewayReading({
      certificate_header_format: 'url_encoded',
      certificate_header_name: 'X-Client-Certificate',
    })
    const balancer = await freePort()
    const front = scene.front.files()
    await startNginx(
      balancer,
      `server {
        listen 127.0.0.1:${balancer} ssl;
        ssl_certificate ${front.certificate};
        ssl_certificate_key ${front.key};
        ssl_verify_client optional_no_ca;
        location / {
          proxy_pass https://127.0.0.1:${gateway.port};
          proxy_ssl_server_name on;
          proxy_ssl_name localhost;
          proxy_set_header Host localhost;
          proxy_set_header X-Client-Certificate $ssl_client_escaped_cert;
        }
      }`,
    )
    // Of what optional_no_ca does not forgive, an expired certificate among them, nginx answers itself.
    return { balancer, gateway, judges: true }
  })
})

describeWith(['haproxy'], 'HAProxy, in the words of RFC 9440', () => {
  behaves(async () => {
    const gateway = await gatewayReading({ certificate_header_format: 'rfc9440' })
    const balancer = await freePort()
    const pem = temporaryFile('front.pem', scene.front.chain + scene.front.key)
    await startHaproxy(
      balancer,
      `frontend in
        bind 127.0.0.1:${balancer} ssl crt ${pem} ca-file ${trusted} verify optional ca-ignore-err all crt-ignore-err all
        http-request del-header Client-Cert
        http-request del-header Client-Cert-Chain
        http-request set-header Client-Cert :%[ssl_c_der,base64]: if { ssl_c_used }
        default_backend gateway
      backend gateway
        server gateway 127.0.0.1:${gateway.port} ssl verify none sni str(localhost)`,
    )
    return { balancer, gateway, judges: false }
  })
})

describeWith(['apache2'], 'Apache, on one line', () => {
  behaves(async () => {
    const gateway = await gatewayReading({
      certificate_header_format: 'pem',
      certificate_header_name: 'X-Client-Certificate',
    })
    const balancer = await freePort()
    const front = scene.front.files()
    await startApache(
      balancer,
      `SSLEngine on
      SSLCertificateFile ${front.certificate}
      SSLCertificateKeyFile ${front.key}
      SSLVerifyClient optional_no_ca
      SSLProxyEngine on
      SSLProxyVerify none
      SSLProxyCheckPeerName off
      ProxyPreserveHost on
      RequestHeader set X-Client-Certificate "%{SSL_CLIENT_CERT}s %{SSL_CLIENT_CERT_CHAIN_0}s"
      ProxyPass / https://127.0.0.1:${gateway.port}/`,
    )
    // It forgives what nginx forgives.
    return { balancer, gateway, judges: true }
  })
})

// Caddy writes its placeholder as it stands where there is no certificate: that is none, and cannot be taken for one.
const CADDY_WITHOUT = [400, undefined] as const

describeWith(['caddy'], 'Caddy, in base64', () => {
  behaves(async () => {
    const gateway = await gatewayReading({
      certificate_header_format: 'base64_encoded',
      certificate_header_name: 'X-Client-Certificate',
    })
    const balancer = await freePort()
    const front = scene.front.files()
    await startCaddy(
      balancer,
      `https://localhost:${balancer} {
        bind 127.0.0.1
        tls ${front.certificate} ${front.key} {
          client_auth {
            mode request
          }
        }
        reverse_proxy https://127.0.0.1:${gateway.port} {
          header_up Host localhost
          header_up X-Client-Certificate "{http.request.tls.client.certificate_der_base64}"
          transport http {
            tls_insecure_skip_verify
            tls_server_name localhost
          }
        }
      }`,
    )
    return { balancer, gateway, judges: false }
  }, CADDY_WITHOUT)
})
