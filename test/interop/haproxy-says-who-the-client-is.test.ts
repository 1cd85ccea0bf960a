/** HAProxy in front that passes TLS on and begins with the PROXY protocol, in each form that it knows, extensions included. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { beforeAll, expect, test } from '@jest/globals'
import { freePort } from '../support/free-port.ts'
import type { Gateway } from '../support/gateway.ts'
import { startHaproxy } from '../support/haproxy.ts'
import { describeWith } from '../support/peers.ts'
import { RawConnection } from '../support/raw.ts'
import { makeScene, type Scene } from '../support/scene.ts'
import { waitFor } from '../support/wait.ts'

const FORMS: Readonly<Record<string, string>> = {
  'version 1': 'send-proxy',
  'version 2': 'send-proxy-v2',
  'version 2 with what it knows of TLS': 'send-proxy-v2-ssl-cn',
  'version 2 with all extensions':
    'send-proxy-v2 proxy-v2-options ssl,cert-cn,ssl-cipher,cert-sig,cert-key,crc32c,unique-id',
}
const CLIENT = '127.0.0.9'

describeWith(['haproxy'], 'haproxy', () => {
  let scene: Scene
  let gateway: Gateway
  const ports = new Map<string, number>()

  beforeAll(async () => {
    scene = await makeScene()
    gateway = await scene.start({
      listeners: [{ listen: '127.0.0.1:0', servers: [scene.server()], proxy_protocol_from: ['127.0.0.1'] }],
    })
    for (const form of Object.keys(FORMS)) ports.set(form, await freePort())
    const sections = Object.entries(FORMS).map(
      ([form, words], i) => `
listen form${i}
  mode tcp
  bind 127.0.0.1:${ports.get(form)}
  unique-id-format %{+X}o\\ %ci:%cp
  option ssl-hello-chk
  server gateway 127.0.0.1:${gateway.port} ${words} check check-send-proxy inter 300ms
`,
    )
    await startHaproxy(ports.get('version 1') as number, sections.join(''))
  })

  test.each(Object.keys(FORMS))('%s', async (form) => {
    scene.backend.reset()
    const socket = connect({ host: '127.0.0.1', port: ports.get(form) as number, localAddress: CLIENT })
    await once(socket, 'connect')
    const { localPort } = socket
    const { chain: cert, key } = scene.ada
    const tls = connectTls({ socket, servername: 'localhost', rejectUnauthorized: false, cert, key })
    const client = new RawConnection(tls)
    client.write('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
    const [answer] = await client.untilClosed()
    expect(answer?.status).toBe(200)
    const [seen] = scene.backend.seen
    expect([seen?.header('X-Forwarded-For'), seen?.header('VERIFIED')]).toEqual([[CLIENT], ['SUCCESS']])
    await gateway.logged({ remote_addr: CLIENT, remote_port: localPort, status: 200 })
  })

  test('its checks are its own connections', async () => {
    await waitFor('a check', () =>
      gateway.log.some(({ msg, remote_addr }) => msg === 'handshake failed' && remote_addr === '127.0.0.1'),
    )
  })
})
