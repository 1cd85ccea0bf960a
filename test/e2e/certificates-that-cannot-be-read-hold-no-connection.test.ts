// What OpenSSL cannot read of a certificate it leaves in a queue of errors, where node:tls would find it as the failure of a later read.
import { beforeAll, expect, test } from '@jest/globals'
import type { Gateway } from '../support/gateway.ts'
import { nameOf } from '../support/names.ts'
import { extension, type Issued, selfSigned } from '../support/pki.ts'
import { openRaw } from '../support/raw.ts'
import { listenerOf, makeScene, type Scene } from '../support/scene.ts'

let scene: Scene
let gateway: Gateway

const unreadable = { extensions: [extension('2.5.29.17', Buffer.from('no names'))] }
const BODY = 'x'.repeat(200_000)

beforeAll(async () => {
  scene = await makeScene()
  scene.backend.respond = (_request, response) => void response.end(BODY)
  gateway = await scene.start(
    listenerOf(
      scene.server(),
      scene.server({ server_names: ['lenient.test'], ssl_verify_client: 'optional_no_ca' }),
      scene.server({ server_names: ['rejects.test'], ssl_verify_client: 'on', ssl_verify_failure: 'reject' }),
    ),
  )
})

const get = (host: string) => `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`

async function askTwice(
  host: string,
  as: Issued,
  port = gateway.port,
): Promise<readonly (readonly [status: number, bytes: number])[]> {
  const connection = await openRaw(port, { as, servername: host })
  try {
    const first = await connection.write(get(host)).answers(1)
    if (first[0]?.status === 200) await connection.write(get(host)).answers(2)
    else await connection.untilClosed()
    return (await connection.answers(first[0]?.status === 200 ? 2 : 1)).map(({ status, body }) => [status, body.length])
  } finally {
    connection.destroy()
  }
}

/** One whose chain holds a certificate that cannot be read and is called as his authority. */
function goodClient(): { as: Issued; between: Issued } {
  const between = scene.clients.authority('between')
  const lookAlike = scene.clients.client('other', { ...unreadable, subject: nameOf(['CN', 'between']) })
  const ada = between.client('ada')
  const chain = ada.certificate + lookAlike.certificate + between.certificate
  const as = Object.assign(Object.create(ada) as Issued, { chain })
  return { as, between }
}

test('whoever shows one is refused, and the connection ends', async () => {
  expect(await askTwice('localhost', scene.clients.client('odd', unreadable))).toEqual([[400, expect.any(Number)]])
  expect(await gateway.logged({ msg: 'request', verify_reason: 'unable to verify the first certificate' })).toBeTruthy()
})

test('where the backend judges, his connection is served as any other', async () => {
  const whole = [200, BODY.length]
  expect(await askTwice('lenient.test', selfSigned('odd', unreadable))).toEqual([whole, whole])
})

test('so is that of a good client who sends one along that is called as his authority', async () => {
  const { as } = goodClient()
  const whole = [200, BODY.length]
  expect(await askTwice('localhost', as)).toEqual([whole, whole])
  expect(scene.backend.last.header('DN')).toEqual(['CN=ada'])
})

test('so is one who was here before, although he is recognized without a look at what he sends along', async () => {
  const { as, between } = goodClient()
  // OpenSSL does not know of it, and so looks through all that the client sends.
  const trusted = scene.server({ ssl_trusted_certificate: between.certificate })
  const { port } = await scene.start(listenerOf(trusted))
  const whole = [200, BODY.length]
  for (const _ of [1, 2, 3]) expect(await askTwice('localhost', as, port)).toEqual([whole, whole])
  expect(scene.backend.last.header('DN')).toEqual(['CN=ada'])
})

test('where bad ones are rejected in TLS, so is it', async () => {
  const connection = await openRaw(gateway.port, {
    as: scene.clients.client('odd', unreadable),
    servername: 'rejects.test',
  }).catch(() => undefined)
  connection?.write(get('rejects.test'))
  expect((await connection?.untilClosed()) ?? []).toEqual([])
})
