import { beforeAll, expect, test } from '@jest/globals'
import { temporaryFile } from '../support/folder.ts'
import { type Gateway, sallyport } from '../support/gateway.ts'
import { authority } from '../support/pki.ts'
import { listenerOf, makeScene, type Scene } from '../support/scene.ts'

let scene: Scene
let gateway: Gateway
const root = authority('root')
const department = root.authority('department')
const ada = department.client('ada')
const bob = department.client('bob')
const stale = { thisUpdate: -9, nextUpdate: -1 }
/** Servers that share their lists need not judge alike. */
const shared = root.crl() + department.crl([ada], stale)
const ofDepartment = department.crl([ada])

const SERVERS = {
  'strict.test': { ssl_crl: shared },
  'ignore.test': { ssl_crl: shared, revocation_check_mode: 'IGNORE_CA_ERROR' },
  'ignore-missing.test': { ssl_crl: root.crl(), revocation_check_mode: 'IGNORE_CA_ERROR' },
  'skip.test': { ssl_crl: root.crl() + department.crl([ada]), revocation_check_mode: 'SKIP' },
  'leaf.test': { ssl_crl: ofDepartment, ssl_crl_check: 'leaf' },
  'chain.test': { ssl_crl: ofDepartment },
  'leaf-missing.test': { ssl_crl: root.crl(), ssl_crl_check: 'leaf' },
} as const

const servers = () =>
  Object.entries(SERVERS).map(([name, fields]) =>
    scene.server({ server_names: [name], ssl_client_certificate: root.certificate, ...fields }),
  )

beforeAll(async () => {
  scene = await makeScene()
  gateway = await scene.start(listenerOf(...servers()))
})

test.each<[keyof typeof SERVERS, string, typeof ada, string]>([
  ['strict.test', 'bob', bob, 'CRL has expired'],
  ['ignore.test', 'bob', bob, 'SUCCESS'],
  ['ignore.test', 'ada, whom the old list has', ada, 'certificate revoked'],
  ['ignore-missing.test', 'bob', bob, 'SUCCESS'],
  ['skip.test', 'ada', ada, 'SUCCESS'],
  ['leaf.test', 'bob', bob, 'SUCCESS'],
  ['leaf.test', 'ada', ada, 'certificate revoked'],
  ['chain.test', 'bob', bob, 'unable to get certificate CRL'],
  ['leaf-missing.test', 'bob', bob, 'unable to get certificate CRL'],
])('%s: %s', async (host, _who, as, outcome) => {
  const answer = await gateway.get('/', { host, as })
  expect(answer.status).toBe(outcome === 'SUCCESS' ? 200 : 400)
  if (outcome !== 'SUCCESS') expect(await gateway.line(answer)).toMatchObject({ verify_reason: outcome })
})

test('the log tells, once a minute, that clients are let in without a current list', async () => {
  const before = gateway.log.length
  await gateway.get('/', { host: 'ignore.test', as: bob })
  await gateway.get('/', { host: 'ignore.test', as: bob })
  await gateway.logged({ reason: 'CRL has expired', detail: 'the list of CN=department' })
  const told = gateway.log.filter(({ reason }) => reason === 'CRL has expired')
  expect(told).toHaveLength(1)
  expect(told[0]).toMatchObject({ level: 'warn', detail: 'the list of CN=department' })
  expect(gateway.log.slice(before).filter(({ msg }) => msg?.includes('without a current'))).toEqual([])
})

test('the metrics count who is let in without a current list, and nobody who is refused all the same', async () => {
  const counted = async () => {
    const { text } = await gateway.getAdmin('/metrics')
    const value = (result: string) =>
      Number(new RegExp(`sallyport_crl_errors_ignored_total\\{result="${result}"\\} (\\d+)`).exec(text)?.[1] ?? 0)
    return [value('crl_expired'), value('crl_missing')]
  }
  const [expired = 0, missing = 0] = await counted()
  await gateway.get('/', { host: 'ignore.test', as: bob })
  await gateway.get('/', { host: 'ignore.test', as: ada })
  await gateway.get('/', { host: 'ignore-missing.test', as: bob })
  expect(await counted()).toEqual([expired + 1, missing + 1])
})

test('a list that its CA has not signed is refused at the start, by name', async () => {
  const forged = root.crl([], { signer: authority('root') })
  const server = scene.server({ ssl_client_certificate: root.certificate, ssl_crl: forged })
  const file = temporaryFile('gateway.yaml', JSON.stringify(scene.config(listenerOf(server))))
  const { status, stderr } = await sallyport(['check', '-c', file])
  expect(status).toBe(1)
  expect(stderr).toContain('the list of CN=root is not signed by the CA of that name')
})

test('inspect judges by the same settings', async () => {
  const file = temporaryFile('gateway.yaml', JSON.stringify(scene.config(listenerOf(...servers()))))
  const { stdout } = await sallyport(['inspect', '--json', '-c', file, '-'], { input: bob.chain })
  const judged = JSON.parse(stdout) as { servers: { server_names: string[]; verified: string }[] }
  expect(judged.servers.map(({ verified }) => verified)).toEqual([
    'FAILED:CRL has expired',
    'SUCCESS',
    'SUCCESS',
    'SUCCESS',
    'SUCCESS',
    'FAILED:unable to get certificate CRL',
    'FAILED:unable to get certificate CRL',
  ])
})
