// The same client certificate, shown to the real nginx and to the gateway: the backend behind both must see the same bytes in every identity header.
import { beforeAll, describe, expect, test } from '@jest/globals'
import { AWKWARD, type AwkwardCase, clients } from '../support/awkward-certificates.ts'
import { type Answer, type Ask, ask } from '../support/client.ts'
import { temporaryFile } from '../support/folder.ts'
import { freePort } from '../support/free-port.ts'
import type { Gateway } from '../support/gateway.ts'
import { startNginx } from '../support/nginx.ts'
import { describeWith } from '../support/peers.ts'
import { listenerOf, makeScene, type Scene } from '../support/scene.ts'

/** Header, nginx's variable, our field. */
const HEADERS = [
  ['VERIFIED', 'ssl_client_verify', 'verify'],
  ['DN', 'ssl_client_s_dn', 'subject_dn'],
  ['X-Issuer', 'ssl_client_i_dn', 'issuer_dn'],
  ['X-Subject-Legacy', 'ssl_client_s_dn_legacy', 'subject_dn_legacy'],
  ['X-Issuer-Legacy', 'ssl_client_i_dn_legacy', 'issuer_dn_legacy'],
  ['X-Serial', 'ssl_client_serial', 'serial'],
  ['X-Fingerprint', 'ssl_client_fingerprint', 'fingerprint'],
  ['X-Not-Before', 'ssl_client_v_start', 'not_before'],
  ['X-Not-After', 'ssl_client_v_end', 'not_after'],
  ['X-Escaped', 'ssl_client_escaped_cert', 'escaped_cert'],
] as const

const MODES = ['optional', 'on', 'optional_no_ca'] as const
const nameOfMode = (mode: string) => `${mode.replaceAll('_', '-')}.test`

interface Told {
  readonly status: number
  readonly title: string | undefined
  readonly headers: Readonly<Record<string, string | undefined>>
}

describeWith(['nginx'], 'nginx and the gateway tell the backend the same', () => {
  let scene: Scene
  let gateway: Gateway
  let nginx: number

  beforeAll(async () => {
    scene = await makeScene()
    gateway = await scene.start({
      ...listenerOf(
        ...MODES.map((mode) =>
          scene.server({
            server_names: [nameOfMode(mode)],
            ssl_client_certificate: clients.certificate,
            ssl_verify_client: mode,
          }),
        ),
      ),
      identity_headers: Object.fromEntries(HEADERS.map(([header, , field]) => [header, field])),
    })
    nginx = await freePort()
    await startNginx(nginx, nginxServers())
  })

  function nginxServers(): string {
    const front = scene.front.files()
    const own = scene.own.files()
    const trusted = temporaryFile('clients.pem', clients.certificate)
    const set = HEADERS.map(([header, variable]) => `proxy_set_header ${header} $${variable};`).join('\n')
    const server = (mode: string) => `server {
      listen 127.0.0.1:${nginx} ssl;
      server_name ${nameOfMode(mode)};
      ssl_certificate ${front.certificate};
      ssl_certificate_key ${front.key};
      ssl_client_certificate ${trusted};
      ssl_verify_client ${mode};
      location / {
        proxy_pass ${scene.backend.url};
        proxy_http_version 1.1;
        proxy_ssl_certificate ${own.certificate};
        proxy_ssl_certificate_key ${own.key};
        ${set}
      }
    }`
    return `ssl_session_tickets off; proxy_headers_hash_max_size 1024; ${MODES.map(server).join('\n')}`
  }

  async function told(port: number, mode: string, as: Ask['as']): Promise<Told> {
    scene.backend.reset()
    const answer: Answer = await ask(port, '/', {
      host: nameOfMode(mode),
      headers: { accept: 'text/html' },
      ...(as && { as }),
    })
    const [seen] = scene.backend.seen
    const headers = Object.fromEntries(HEADERS.map(([header]) => [header, seen?.header(header).join(' | ')]))
    const title = /<title>(.*)<\/title>/.exec(answer.text)?.[1]
    return { status: answer.status, title, headers }
  }

  test('there are at least forty certificates to compare', () => {
    expect(AWKWARD.length).toBeGreaterThanOrEqual(40)
  })

  describe.each(MODES)('ssl_verify_client %s', (mode) => {
    test.each(AWKWARD.map((one) => [one.name, one] as const))('%s', async (_name, one: AwkwardCase) => {
      const theirs = await told(nginx, mode, one.certificate)
      const ours = await told(gateway.port, mode, one.certificate)
      expect(ours).toEqual(theirs)
    })
    test('no certificate', async () => {
      expect(await told(gateway.port, mode, undefined)).toEqual(await told(nginx, mode, undefined))
    })
  })
})
