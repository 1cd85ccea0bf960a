import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { beforeAll, expect, test } from '@jest/globals'
import { whenFileEnds } from '../support/cleanup.ts'
import { explicit, implicit, sequence } from '../support/der.ts'
import { temporaryFolder } from '../support/folder.ts'
import type { Gateway } from '../support/gateway.ts'
import { sClient } from '../support/openssl.ts'
import { describeWith } from '../support/peers.ts'
import { authority, extension, type Issued } from '../support/pki.ts'
import { listenerOf, makeScene, type Scene } from '../support/scene.ts'
import { waitFor, within } from '../support/wait.ts'

let scene: Scene
let list = ''
let asked = 0
let ada: Issued
let bob: Issued
const root = authority('root')

beforeAll(async () => {
  scene = await makeScene()
  const server = createServer((_request, response) => {
    asked++
    response.end(list)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  whenFileEnds(() => server.close())
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/root.crl`
  const names = explicit(0, explicit(0, implicit(6, Buffer.from(address, 'latin1'))))
  const points = { extensions: [extension('2.5.29.31', sequence(sequence(names)))] }
  ada = root.client('ada', points)
  bob = root.client('bob', points)
})

/** One after the other, round both workers twice. */
async function fourTimes<T>(ask: () => Promise<T>): Promise<T[]> {
  const answers: T[] = []
  for (let i = 0; i < 4; i++) answers.push(await ask())
  return answers
}

async function replaceOneOf(gateway: Gateway): Promise<void> {
  const ready = () => gateway.log.filter(({ msg, worker }) => msg === 'ready' && worker !== undefined).length
  const before = ready()
  const { pid } = gateway.child
  const [victim] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ')
  process.kill(Number(victim), 'SIGKILL')
  await waitFor('another worker', () => ready() > before)
}

describeWith(['openssl'], 'with two workers', () => {
  test('a list that one worker fetches is soon known to all, and ends sessions and connections in all', async () => {
    list = root.crl()
    const fields = { ssl_client_certificate: root.certificate, ssl_crl_fetch: 'on' }
    const gateway = await scene.start({ workers: 2, ...listenerOf(scene.server(fields)) })
    const get = (as: Issued) => gateway.get('/', { as }).then(({ status }) => status)
    expect(await fourTimes(() => get(ada))).toEqual([200, 200, 200, 200])
    expect(asked).toBe(2)

    const folder = temporaryFolder()
    const request = 'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'
    const connect = async (files: { resume?: string; keep?: string }) => {
      const options = { port: gateway.port, tls: 'tls1_3', servername: 'localhost', request } as const
      const { resumed, answers } = await sClient({ ...options, as: bob.files(), ...files })
      return `${resumed ? 'resumed' : 'full'} ${answers[0]?.status}`
    }
    const [first, second] = ['first', 'second'].map((name) => join(folder, name)) as [string, string]
    expect(await connect({ keep: first })).toBe('full 200')
    expect(await fourTimes(() => connect({ resume: first }))).toEqual(Array(4).fill('resumed 200'))
    // One that has fetched nothing yet has the keys of the others, and fetching the same list changes nothing.
    await replaceOneOf(gateway)
    expect(await fourTimes(() => connect({ resume: first }))).toEqual(Array(4).fill('resumed 200'))
    expect(asked).toBe(3)

    list = root.crl([ada], { thisUpdate: 0 })
    const idle = [await gateway.open({ as: ada }), await gateway.open({ as: ada })]
    await replaceOneOf(gateway)
    await waitFor('ada to be revoked', async () => (await fourTimes(() => get(ada))).every((status) => status === 400))
    expect(asked).toBe(5)
    // One of them has died with its worker; the other worker has judged again.
    await within(5, 'the end of what she had open', Promise.all(idle.map((client) => client.closed)))
    await gateway.logged({ msg: 'connection ended', subject: 'CN=ada' })
    expect(await fourTimes(() => connect({ resume: first }))).toEqual(Array(4).fill('full 200'))
    expect(await connect({ keep: second })).toBe('full 200')
    expect(await fourTimes(() => connect({ resume: second }))).toEqual(Array(4).fill('resumed 200'))
  })
})
