/** nginx's way of counting `ssl_verify_depth`: intermediates between the certificate and its root, whoever brings them. */
import { beforeAll, expect, test } from '@jest/globals'
import { type Answer, ask } from '../support/client.ts'
import { temporaryFile } from '../support/folder.ts'
import { freePort } from '../support/free-port.ts'
import type { Gateway } from '../support/gateway.ts'
import { startNginx } from '../support/nginx.ts'
import { describeWith } from '../support/peers.ts'
import type { Issued } from '../support/pki.ts'
import { listenerOf, makeScene, type Scene } from '../support/scene.ts'

const DEPTHS = [0, 1, 2, 3]
const MODES = ['optional', 'optional_no_ca'] as const

function nameOf(store: string, depth: number, verify: (typeof MODES)[number]): string {
  return `${store}${depth}.${verify.replaceAll('_', '-')}.test`
}

describeWith(['nginx'], 'nginx', () => {
  let scene: Scene
  let gateway: Gateway
  let nginx: number
  const clients = new Map<string, Issued>()

  beforeAll(async () => {
    scene = await makeScene()
    scene.backend.respond = (_request, response, seen) => void response.end(seen.header('VERIFIED').join())
    const root = scene.clients
    const middle = root.authority('middle')
    const low = middle.authority('low')
    const deep = low.client('deep')
    const bare = Object.assign(Object.create(deep) as Issued, { chain: deep.certificate })
    const withRoot = Object.assign(Object.create(deep) as Issued, { chain: deep.chain + root.certificate })
    const all: [string, Issued][] = [
      ['none', root.client('direct')],
      ['one', middle.client('middle')],
      ['two', deep],
      ['two that the client does not send', bare],
      ['two, and the root', withRoot],
    ]
    for (const [name, issued] of all) clients.set(name, issued)
    const stores = { root: root.certificate, all: root.certificate + middle.certificate + low.certificate }
    const servers = MODES.flatMap((verify) =>
      Object.entries(stores).flatMap(([store, pem]) =>
        DEPTHS.map((depth) => ({ name: nameOf(store, depth, verify), pem, depth, verify })),
      ),
    )
    gateway = await scene.start(
      listenerOf(
        ...servers.map(({ name, pem, depth, verify }) =>
          scene.server({
            server_names: [name],
            ssl_verify_client: verify,
            ssl_client_certificate: pem,
            ssl_verify_depth: depth,
          }),
        ),
      ),
    )
    nginx = await freePort()
    const { certificate, key } = scene.front.files()
    const blocks = servers.map(
      ({ name, pem, depth, verify }) => `server {
        listen 127.0.0.1:${nginx} ssl; server_name ${name};
        ssl_certificate ${certificate}; ssl_certificate_key ${key};
        ssl_client_certificate ${temporaryFile('ca.pem', pem)}; ssl_verify_client ${verify}; ssl_verify_depth ${depth};
        location / { default_type text/plain; return 200 "$ssl_client_verify"; }
      }`,
    )
    await startNginx(nginx, blocks.join('\n'))
  })

  const told = ({ status, text }: Answer) => `${status} ${status === 200 ? text : ''}`

  test.each(MODES.flatMap((verify) => ['root', 'all'].map((store) => [verify, store] as const)))(
    '%s counts the same intermediates where the trust store holds: %s',
    async (verify, store) => {
      const [ours, theirs]: [Record<string, string>, Record<string, string>] = [{}, {}]
      for (const depth of DEPTHS) {
        for (const [name, as] of clients) {
          const host = nameOf(store, depth, verify)
          ours[`${depth}, ${name}`] = told(await gateway.get('/', { as, host }))
          theirs[`${depth}, ${name}`] = told(await ask(nginx, '/', { as, host }))
        }
      }
      expect(ours).toEqual(theirs)
      expect(ours['0, none']).toBe('200 SUCCESS')
      const isForgiven = verify === 'optional_no_ca' && store === 'root'
      expect(ours['1, two']).toBe(isForgiven ? '200 FAILED:unable to get local issuer certificate' : '400 ')
      expect(ours['2, two']).toBe('200 SUCCESS')
    },
  )
})
