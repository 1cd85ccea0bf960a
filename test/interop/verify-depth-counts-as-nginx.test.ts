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
    const servers = Object.entries(stores).flatMap(([store, pem]) =>
      DEPTHS.map((depth) => ({ name: `${store}${depth}.test`, pem, depth })),
    )
    gateway = await scene.start(
      listenerOf(
        ...servers.map(({ name, pem, depth }) =>
          scene.server({ server_names: [name], ssl_client_certificate: pem, ssl_verify_depth: depth }),
        ),
      ),
    )
    nginx = await freePort()
    const { certificate, key } = scene.front.files()
    const blocks = servers.map(
      ({ name, pem, depth }) => `server {
        listen 127.0.0.1:${nginx} ssl; server_name ${name};
        ssl_certificate ${certificate}; ssl_certificate_key ${key};
        ssl_client_certificate ${temporaryFile('ca.pem', pem)}; ssl_verify_client optional; ssl_verify_depth ${depth};
        location / { default_type text/plain; return 200 "$ssl_client_verify"; }
      }`,
    )
    await startNginx(nginx, blocks.join('\n'))
  })

  const told = ({ status, text }: Answer) => `${status} ${status === 200 ? text : ''}`

  test.each(['root', 'all'])('counts the same intermediates where the trust store holds: %s', async (store) => {
    const [ours, theirs]: [Record<string, string>, Record<string, string>] = [{}, {}]
    for (const depth of DEPTHS) {
      for (const [name, as] of clients) {
        const host = `${store}${depth}.test`
        ours[`${host}, ${name}`] = told(await gateway.get('/', { as, host }))
        theirs[`${host}, ${name}`] = told(await ask(nginx, '/', { as, host }))
      }
    }
    expect(ours).toEqual(theirs)
    expect(ours[`${store}0.test, none`]).toBe('200 SUCCESS')
    expect(ours[`${store}1.test, two`]).toBe('400 ')
    expect(ours[`${store}2.test, two`]).toBe('200 SUCCESS')
  })
})
