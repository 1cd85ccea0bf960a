// A server may ask for the ClientHello again (HelloRetryRequest). The first one has chosen the trust policy by then; a second one that names another server must not get the other's trust.
import { beforeAll, expect, test } from '@jest/globals'
import type { Gateway } from '../support/gateway.ts'
import { afterRetry } from '../support/hello-retry.ts'
import { authority, type Issued } from '../support/pki.ts'
import { listenerOf, makeScene, type Scene } from '../support/scene.ts'

const red = authority('red')
const blue = authority('blue')
const HTTP = ['http/1.1']

let scene: Scene
let gateway: Gateway
beforeAll(async () => {
  scene = await makeScene()
  gateway = await scene.start(
    listenerOf(
      scene.server({ server_names: ['red.test'], ssl_client_certificate: red.certificate }),
      scene.server({ server_names: ['blue.test'], ssl_client_certificate: blue.certificate }),
      scene.server({ server_names: ['open.test'], ssl_verify_client: 'off' }),
    ),
  )
})

interface Told {
  /** The server names of the two hellos. */
  readonly names: readonly [string, string]
  readonly as?: Issued
  readonly host: string
  readonly alpn?: readonly [readonly string[], readonly string[]]
}

/** Whether the client was asked for a certificate, the status, and what the backend was told of the certificate. */
async function told({
  names,
  as,
  host,
  alpn = [HTTP, HTTP],
}: Told): Promise<readonly [boolean, number, string | undefined]> {
  scene.backend.reset()
  const request = `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`
  const offer = (i: 0 | 1) => ({ servername: names[i], alpn: alpn[i] })
  const { asked, answer } = await afterRetry(gateway.port, [offer(0), offer(1)], { request, ...(as && { as }) })
  const [seen] = scene.backend.seen
  return [asked, Number(answer.slice(9, 12)), seen?.header('VERIFIED')[0]]
}

test('the same name twice is served as ever', async () => {
  const as = red.client('ada')
  expect(await told({ names: ['red.test', 'red.test'], as, host: 'red.test' })).toEqual([true, 200, 'SUCCESS'])
  expect(await told({ names: ['open.test', 'open.test'], host: 'open.test' })).toEqual([false, 200, 'NONE'])
})

test('another name the second time gets nothing of the other server', async () => {
  const [ofRed, ofBlue] = [red.client('ada'), blue.client('ada')]
  const names = ['red.test', 'blue.test'] as const
  expect(await told({ names, as: ofBlue, host: 'blue.test' })).toEqual([true, 421, undefined])
  expect(await told({ names, as: ofRed, host: 'blue.test' })).toEqual([true, 421, undefined])
  expect(await told({ names: ['open.test', 'red.test'], host: 'red.test' })).toEqual([false, 421, undefined])
})

test('what its certificate is worth says the server of the first name', async () => {
  const names = ['red.test', 'blue.test'] as const
  expect(await told({ names, as: red.client('ada'), host: 'red.test' })).toEqual([true, 200, 'SUCCESS'])
  expect(await told({ names, as: blue.client('ada'), host: 'red.test' })).toEqual([true, 400, undefined])
  const line = await gateway.logged({ status: 400 })
  expect(line.tls).toMatchObject({ server_name: 'red.test' })
})

test('a protocol that is not spoken ends the handshake, also where only the second hello offers it alone', async () => {
  const names = ['red.test', 'red.test'] as const
  const wrong = told({ names, host: 'red.test', alpn: [HTTP, ['h2']] })
  await expect(wrong).rejects.toThrow('the server ends the handshake: 0278')
  const right = await told({ names, host: 'red.test', alpn: [['h2', ...HTTP], HTTP] })
  expect(right).toEqual([true, 200, 'NONE'])
})
