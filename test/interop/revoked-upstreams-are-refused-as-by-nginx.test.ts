import { beforeAll, expect, test } from '@jest/globals'
import { type Backend, startBackend } from '../support/backend.ts'
import { curl } from '../support/curl.ts'
import { temporaryFile } from '../support/folder.ts'
import { freePort } from '../support/free-port.ts'
import type { Gateway } from '../support/gateway.ts'
import { startNginx } from '../support/nginx.ts'
import { describeWith } from '../support/peers.ts'
import { authority } from '../support/pki.ts'
import { makeScene, type Scene } from '../support/scene.ts'

const root = authority('root')
const department = root.authority('department')
const other = authority('other')
const good = root.server('localhost')
const revoked = root.server('localhost')
const inDepartment = department.server('localhost')
const elsewhere = other.server('localhost')

const CURRENT = {}
const STALE = { thisUpdate: -9, nextUpdate: -1 }
const EARLY = { thisUpdate: 1, nextUpdate: 9 }
const LISTS: Record<string, string> = {
  empty: root.crl() + department.crl() + other.crl(),
  'one revoked': root.crl([revoked], CURRENT) + department.crl() + other.crl(),
  'the intermediate revoked': root.crl([department]) + department.crl() + other.crl(),
  'revoked by the intermediate': root.crl() + department.crl([inDepartment]) + other.crl(),
  'none of the intermediate': root.crl() + other.crl(),
  'none of the root': department.crl() + other.crl(),
  'none of another authority': root.crl() + department.crl(),
  'a stale one': root.crl([], STALE) + department.crl() + other.crl(),
  'one that is not valid yet': root.crl([], EARLY) + department.crl() + other.crl(),
}
const UPSTREAMS = { good, revoked, inDepartment, elsewhere }

describeWith(['nginx', 'curl'], 'the real nginx with the same proxy_ssl_crl', () => {
  let scene: Scene
  const backends: Record<string, Backend> = {}
  let port: number

  beforeAll(async () => {
    scene = await makeScene()
    for (const [name, certificate] of Object.entries(UPSTREAMS)) {
      backends[name] = await startBackend({ certificate, clients: scene.inside })
    }
    port = await freePort()
    const own = scene.own.files()
    const trusted = temporaryFile('ca.pem', root.certificate + other.certificate)
    // Locations that ask the same upstream share its sessions, and nginx looks at no list again where one is resumed.
    const locations = Object.values(LISTS).flatMap((lists, i) => {
      const file = temporaryFile('crl.pem', lists)
      return Object.entries(backends).map(
        ([name, { url }]) => `location /${i}/${name} {
          proxy_pass ${url};
          proxy_ssl_name localhost;
          proxy_ssl_verify on;
          proxy_ssl_verify_depth 2;
          proxy_ssl_trusted_certificate ${trusted};
          proxy_ssl_crl ${file};
          proxy_ssl_session_reuse off;
          proxy_ssl_certificate ${own.certificate};
          proxy_ssl_certificate_key ${own.key};
        }`,
      )
    })
    await startNginx(port, `server { listen 127.0.0.1:${port}; ${locations.join('\n')} }`)
  })

  const gatewayWith = (proxy_ssl_crl: string): Promise<Gateway> =>
    scene.start({
      services: Object.entries(backends).map(([name, { url }]) => ({
        ...{ name, url, retries: 0, routes: [{ name, paths: [`/${name}`] }] },
      })),
      proxy: {
        proxy_ssl_certificate: scene.own.chain,
        proxy_ssl_certificate_key: scene.own.key,
        proxy_ssl_trusted_certificate: root.certificate + other.certificate,
        proxy_ssl_crl,
      },
    })

  test.each(Object.entries(LISTS).map(([what, lists], i) => [what, lists, i] as const))(
    'lists: %s',
    async (_what, lists, i) => {
      const gateway = await gatewayWith(lists)
      const names = Object.keys(backends)
      const theirs = await Promise.all(
        names.map(async (name) => {
          const { stdout } = await curl([
            '-o',
            '/dev/null',
            '-w',
            '%{http_code}',
            `http://127.0.0.1:${port}/${i}/${name}`,
          ])
          return [name, Number(stdout)]
        }),
      )
      const ours = await Promise.all(names.map(async (name) => [name, (await gateway.get(`/${name}`)).status]))
      expect(ours).toEqual(theirs)
      expect(theirs.some(([, status]) => status === 200)).toBe(true)
      await gateway.stop()
    },
  )
})
