// The original's use: nginx as the API with `ssl_verify_client on`, the gateway started from environment variables alone.
import { join } from 'node:path'
import { beforeAll, expect, test } from '@jest/globals'
import { curl } from '../support/curl.ts'
import { temporaryFile, temporaryFolder } from '../support/folder.ts'
import { freePort } from '../support/free-port.ts'
import { type Gateway, startGateway } from '../support/gateway.ts'
import { startNginx } from '../support/nginx.ts'
import { describeWith } from '../support/peers.ts'
import { authority } from '../support/pki.ts'

describeWith(['nginx', 'curl'], 'a real nginx with ssl_verify_client on', () => {
  const inside = authority('inside')
  const clients = authority('clients')
  const servers = authority('servers')
  const front = servers.server('localhost')
  const own = inside.client('gateway')
  const socket = join(temporaryFolder(), 'nginx.sock')
  let port: number
  let gateway: Gateway

  const environment = (changes: Record<string, string> = {}) => ({
    SALLYPORT_LISTEN: '127.0.0.1:0',
    SALLYPORT_ADMIN_LISTEN: '127.0.0.1:0',
    SALLYPORT_UPSTREAM_URL: `https://localhost:${port}`,
    SALLYPORT_SSL_CERTIFICATE: front.chain,
    SALLYPORT_SSL_CERTIFICATE_KEY: front.key,
    SALLYPORT_SSL_CLIENT_CERTIFICATE: clients.certificate,
    SALLYPORT_SSL_VERIFY_CLIENT: 'optional',
    SALLYPORT_PROXY_SSL_TRUSTED_CERTIFICATE: inside.certificate,
    SECRET_CLIENT_KEY: own.key,
    SECRET_CLIENT_CERT: own.certificate,
    ...changes,
  })

  beforeAll(async () => {
    port = await freePort()
    const { certificate, key } = inside.server('localhost').files()
    await startNginx(
      port,
      `server {
        listen 127.0.0.1:${port} ssl;
        listen unix:${socket} ssl;
        ssl_certificate ${certificate};
        ssl_certificate_key ${key};
        ssl_client_certificate ${temporaryFile('ca.pem', inside.certificate)};
        ssl_verify_client on;
        location / { return 200 "gateway=$ssl_client_s_dn verified=$http_verified dn=$http_dn uri=$request_uri"; }
      }`,
    )
    gateway = await startGateway({ env: environment() })
  })

  const trust = () => ['--cacert', temporaryFile('ca.pem', servers.certificate)]

  test('curl without a certificate', async () => {
    const { stdout } = await curl([...trust(), `https://localhost:${gateway.port}/hello?x=1`])
    expect(stdout).toBe('gateway=CN=gateway verified=NONE dn= uri=/hello?x=1')
  })

  test('curl with a certificate', async () => {
    const { certificate, key } = clients.client('ada').files()
    const { stdout } = await curl([
      ...trust(),
      '--cert',
      certificate,
      '--key',
      key,
      `https://localhost:${gateway.port}/`,
    ])
    expect(stdout).toBe('gateway=CN=gateway verified=SUCCESS dn=CN=ada uri=/')
  })

  test('over a Unix socket', async () => {
    const near = await startGateway({ env: environment({ SALLYPORT_UPSTREAM_URL: `https://unix:${socket}:/v1` }) })
    const answer = await near.get('/hello?x=1', { as: clients.client('ada') })
    expect(answer.text).toBe('gateway=CN=gateway verified=SUCCESS dn=CN=ada uri=/v1/hello?x=1')
  })

  test("without the gateway's certificate nginx answers 400, and the client gets that answer", async () => {
    const { SECRET_CLIENT_KEY: _key, SECRET_CLIENT_CERT: _cert, ...without } = environment()
    const bare = await startGateway({ env: without })
    const answer = await bare.get('/')
    expect(answer.status).toBe(400)
    expect(answer.text).toContain('No required SSL certificate was sent')
  })

  test('with a certificate of another CA nginx answers 400 as well', async () => {
    const { key, certificate } = authority('other').client('gateway')
    const wrong = await startGateway({ env: environment({ SECRET_CLIENT_KEY: key, SECRET_CLIENT_CERT: certificate }) })
    const answer = await wrong.get('/')
    expect(answer.status).toBe(400)
    expect(answer.text).toContain('The SSL certificate error')
  })
})
