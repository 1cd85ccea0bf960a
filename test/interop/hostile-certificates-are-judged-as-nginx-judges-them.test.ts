// What a hostile authority may write into a client's certificate: nginx is the judge. By TLS the verdict and what the backend is told are its own; where a load
// balancer tells the certificate in a header, nobody comes in whom nginx refuses.
import { beforeAll, describe, expect, test } from '@jest/globals'
import { type Ask, ask } from '../support/client.ts'
import { temporaryFile } from '../support/folder.ts'
import { freePort } from '../support/free-port.ts'
import type { Gateway } from '../support/gateway.ts'
import { HOSTILE } from '../support/hostile-certificates.ts'
import { startNginx } from '../support/nginx.ts'
import { describeWith } from '../support/peers.ts'
import { authority, type Issued } from '../support/pki.ts'
import { listenerOf, makeScene, type Scene } from '../support/scene.ts'

const HEADERS = [
  ['VERIFIED', 'ssl_client_verify', 'verify'],
  ['DN', 'ssl_client_s_dn', 'subject_dn'],
  ['X-Subject-Legacy', 'ssl_client_s_dn_legacy', 'subject_dn_legacy'],
  ['X-Serial', 'ssl_client_serial', 'serial'],
  ['X-Not-Before', 'ssl_client_v_start', 'not_before'],
  ['X-Not-After', 'ssl_client_v_end', 'not_after'],
] as const
const MODES = ['optional', 'on', 'optional_no_ca'] as const
type Mode = (typeof MODES)[number]
const hostOf = (mode: Mode) => `${mode.replaceAll('_', '-')}.test`

/** Refused here by purpose where a load balancer tells them: no handshake has looked at what we do not look at. */
const STRICTER_BY_HEADER = /a proxy certificate|names twice|once more/

describeWith(['nginx'], 'nginx', () => {
  const clients = authority('clients')
  let scene: Scene
  let gateway: Gateway
  let nginx: number

  beforeAll(async () => {
    scene = await makeScene()
    scene.backend.respond = (_request, response, seen) =>
      void response.end(HEADERS.map(([header]) => seen.header(header).join()).join('\n'))
    const server = (name: string, mode: Mode, fields: object = {}) =>
      scene.server({
        server_names: [name],
        ssl_client_certificate: clients.certificate,
        ssl_verify_client: mode,
        ...fields,
      })
    gateway = await scene.start({
      ...listenerOf(
        ...MODES.map((mode) => server(hostOf(mode), mode)),
        ...MODES.map((mode) => server(`told.${hostOf(mode)}`, mode, { certificate_header_format: 'rfc9440' })),
      ),
      trusted_ips: ['127.0.0.1'],
      identity_headers: Object.fromEntries(HEADERS.map(([header, , field]) => [header, field])),
    })
    nginx = await freePort()
    const { certificate, key } = scene.front.files()
    const trusted = temporaryFile('clients.pem', clients.certificate)
    const servers = MODES.map(
      (mode) => `server {
        listen 127.0.0.1:${nginx} ssl; server_name ${hostOf(mode)};
        ssl_certificate ${certificate}; ssl_certificate_key ${key};
        ssl_client_certificate ${trusted}; ssl_verify_client ${mode};
        location / { default_type text/plain; return 200 "${HEADERS.map(([, variable]) => `$${variable}`).join('\\n')}"; }
      }`,
    )
    await startNginx(nginx, `ssl_session_tickets off; ${servers.join('\n')}`)
  })

  /** What the backend is told; the status alone where nobody is let in; and where there is no handshake, that. */
  async function told(port: number, options: Ask): Promise<string> {
    try {
      const { status, text } = await ask(port, '/', options)
      return status === 200 ? text : `refused with ${status}`
    } catch {
      return 'no handshake'
    }
  }

  const inHeader = ({ der }: Issued) => ({ 'client-cert': `:${der.toString('base64')}:` })

  describe.each(MODES)('ssl_verify_client %s', (mode) => {
    const host = hostOf(mode)
    test.each(HOSTILE)('%s', async (what, options) => {
      const as = clients.client('ada', options)
      const theirs = await told(nginx, { host, as })
      expect(await told(gateway.port, { host, as })).toBe(theirs)

      const byHeader = await told(gateway.port, { host: `told.${host}`, headers: inHeader(as) })
      if (theirs.startsWith('SUCCESS') && !STRICTER_BY_HEADER.test(what)) expect(byHeader).toBe(theirs)
      else if (byHeader.startsWith('SUCCESS')) expect(what).toMatch(NO_KEY_OF_TLS)
    })
  })

  test('after all of them everybody is served', async () => {
    expect(await told(gateway.port, { host: 'on.test', as: clients.client('ada') })).toMatch(/^SUCCESS\nCN=ada\n/)
  })
})

/** nginx asks for no signature of such a key, and so its client shows no certificate. */
const NO_KEY_OF_TLS = /secp256k1|DSA/
