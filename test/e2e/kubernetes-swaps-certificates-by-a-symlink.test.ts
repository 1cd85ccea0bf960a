import { mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect, type DetailedPeerCertificate } from 'node:tls'
import { beforeAll, expect, test } from '@jest/globals'
import { temporaryFolder } from '../support/folder.ts'
import type { Gateway, LogLine } from '../support/gateway.ts'
import { type Authority, authority, type Issued } from '../support/pki.ts'
import { listenerOf, makeScene, type Scene } from '../support/scene.ts'
import { waitFor } from '../support/wait.ts'

let scene: Scene
let gateway: Gateway
let folder: string
let versions = 0

interface Version {
  readonly front: Issued
  readonly key: string
  readonly clients: Authority
  readonly crl: string
}

const NAMES = ['tls.crt', 'tls.key', 'ca.crt', 'ca.crl']

/** As the kubelet's atomic writer: the files of a version stand in a folder of their own, and `..data` comes to name it by a rename. */
function publish({ front, key, clients, crl }: Version): void {
  const version = `..version_${++versions}`
  mkdirSync(join(folder, version))
  const contents = [front.chain, key, clients.certificate, crl]
  for (const [i, name] of NAMES.entries()) writeFileSync(join(folder, version, name), contents[i] ?? '')
  symlinkSync(version, join(folder, '..data_tmp'))
  renameSync(join(folder, '..data_tmp'), join(folder, '..data'))
}

const second = authority('second')
let first: Version

beforeAll(async () => {
  scene = await makeScene()
  folder = temporaryFolder()
  first = { front: scene.front, key: scene.front.key, clients: scene.clients, crl: scene.clients.crl() }
  publish(first)
  for (const name of NAMES) symlinkSync(join('..data', name), join(folder, name))
  const path = (name: string) => join(folder, name)
  gateway = await scene.start({
    ...listenerOf(
      scene.server({
        ssl_certificate: path('tls.crt'),
        ssl_certificate_key: path('tls.key'),
        ssl_client_certificate: path('ca.crt'),
        ssl_crl: path('ca.crl'),
        ssl_verify_client: 'on',
      }),
    ),
    reload: { watch: 'on' },
  })
})

function shownSerial(): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({
      host: '127.0.0.1',
      port: gateway.port,
      servername: 'localhost',
      rejectUnauthorized: false,
    })
    socket.once('error', reject)
    socket.once('secureConnect', () => {
      const { serialNumber } = socket.getPeerCertificate() as DetailedPeerCertificate
      socket.destroy()
      resolve(serialNumber.toLowerCase())
    })
  })
}

function outcomes(): readonly LogLine[] {
  return gateway.log.filter(({ msg }) => /^reload/.test(msg ?? ''))
}

async function nextOutcome(before: number): Promise<LogLine> {
  return waitFor('the outcome of a reload', () => outcomes()[before], 15)
}

test('a new version of certificate, key, authority and list is taken as a whole', async () => {
  expect(await shownSerial()).toBe(first.front.serial.toString('hex'))
  const front = scene.servers.server('localhost')
  const revoked = second.client('gone')
  publish({ front, key: front.key, clients: second, crl: second.crl([revoked]) })
  expect((await nextOutcome(0)).msg).toBe('reloaded')
  expect(await shownSerial()).toBe(front.serial.toString('hex'))
  expect((await gateway.get('/', { as: second.client('bob') })).status).toBe(200)
  expect((await gateway.get('/', { as: scene.ada })).status).toBe(400)
  expect((await gateway.get('/', { as: revoked })).status).toBe(400)
})

test('a version that is wrong in one file is taken in none', async () => {
  const before = outcomes().length
  const shown = await shownSerial()
  const front = scene.servers.server('localhost')
  publish({ front, key: scene.front.key, clients: scene.clients, crl: scene.clients.crl() })
  const refused = await nextOutcome(before)
  expect(JSON.stringify(refused)).toContain('The private key does not belong to the certificate')
  expect(await shownSerial()).toBe(shown)
  expect((await gateway.get('/', { as: second.client('bob') })).status).toBe(200)
  expect((await gateway.get('/', { as: scene.ada })).status).toBe(400)
  publish(first)
  expect((await nextOutcome(before + 1)).msg).toBe('reloaded')
  expect((await gateway.get('/', { as: scene.ada })).status).toBe(200)
})
