import { expect, test } from '@jest/globals'
import { temporaryFile } from '../support/folder.ts'
import { refusedStart, startGateway } from '../support/gateway.ts'
import { nameOf } from '../support/names.ts'
import { makeScene } from '../support/scene.ts'

test('--tlscert, --tlskey, --tlscacert and --tlsverify say what nats-server means by them', async () => {
  const scene = await makeScene()
  const { certificate, key } = scene.front.files()
  const authorities = temporaryFile('clients.pem', scene.clients.certificate)
  const config = scene.config({ listeners: [{ listen: '127.0.0.1:0' }] })
  const args = ['--tlscert', certificate, '--tlskey', key, '--tlscacert', authorities, '--tlsverify']
  const gateway = await startGateway({ config, args })
  expect((await gateway.get('/', { as: scene.ada })).status).toBe(200)
  expect((await gateway.get('/')).status).toBe(400)
})

test('they may be written as Go has them: with one hyphen, and with =true', async () => {
  const scene = await makeScene()
  const { certificate, key } = scene.front.files()
  const authorities = temporaryFile('clients.pem', scene.clients.certificate)
  const config = scene.config({ listeners: [{ listen: '127.0.0.1:0' }] })
  const args = ['-tls=true', `-tlscert=${certificate}`, '-tlskey', key, `-tlscacert=${authorities}`, '-tlsverify=true']
  const gateway = await startGateway({ config, args })
  expect((await gateway.get('/', { as: scene.ada })).status).toBe(200)
  expect((await gateway.get('/')).status).toBe(400)
})

test.each([
  [['--tls=false'], '--tls: takes no value but true: every listener speaks TLS'],
  [['--tlsverify=false'], '--tlsverify: takes no value but true: ssl_verify_client in the file says'],
  [['--tlsverify'], 'TLS Server certificate must be present and valid'],
  [['--tlscert', 'x.pem'], 'TLS Server private key must be present and valid'],
])('%j alone is refused in the words of NATS', async (args, message) => {
  const scene = await makeScene()
  const { status, stderr } = await refusedStart({ config: scene.config(), args })
  expect(status).toBe(1)
  expect(stderr).toContain(message)
})

test('the tls block of NATS demands a certificate of a user, found as NATS finds him', async () => {
  const scene = await makeScene()
  const tls = {
    cert_file: scene.front.chain,
    key_file: scene.front.key,
    ca_file: scene.clients.certificate,
    verify_and_map: true,
    timeout: 2,
  }
  const servers = [{ authorization: { users: [{ user: 'CN=ada,O=Acme' }] } }]
  const gateway = await scene.start({ listeners: [{ listen: '127.0.0.1:0', tls, servers }] })
  const subject = nameOf(['CN', 'ada'], ['O', 'Acme'])
  expect((await gateway.get('/', { as: scene.clients.client('x', { subject }) })).status).toBe(200)
  expect((await gateway.get('/', { as: scene.ada })).status).toBe(401)
  expect((await gateway.get('/')).status).toBe(400)
})
