import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { whenFileEnds } from '../support/cleanup.ts'
import { explicit, implicit, sequence } from '../support/der.ts'
import type { Gateway } from '../support/gateway.ts'
import { type Authority, authority, extension, type Issued } from '../support/pki.ts'
import { listenerOf, makeScene, type Scene } from '../support/scene.ts'
import { pause, waitFor, within } from '../support/wait.ts'

let scene: Scene
let address: string
const root = authority('root')
/** What is asked for, in order, and how it is answered. */
let asked: string[] = []
/** What the paths of this test begin with. */
let folder = ''
let tests = 0
let respond: (request: IncomingMessage, response: ServerResponse) => void

beforeAll(async () => {
  scene = await makeScene()
  const server = createServer((request, response) => {
    // Gateways of earlier tests go on to fetch what they have in use.
    if (!request.url?.startsWith(folder)) return
    asked.push(request.url.slice(folder.length))
    respond(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  whenFileEnds(() => server.close())
  address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})

beforeEach(() => {
  asked = []
  folder = `/${++tests}`
})

const derOf = (pem: string) => Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ''), 'base64')
const points = (url: string) => {
  const names = explicit(0, explicit(0, implicit(6, Buffer.from(url, 'latin1'))))
  return { extensions: [extension('2.5.29.31', sequence(sequence(names)))] }
}
const client = (name: string, path = '/root.crl', issuer: Authority = root): Issued =>
  issuer.client(name, points(path.includes(':') ? path : address + folder + path))

function startFetching(fields: object = {}, limits: object = {}): Promise<Gateway> {
  const server = { ssl_client_certificate: root.certificate, ssl_crl_fetch: 'on', ...fields }
  return scene.start({ ...listenerOf(scene.server(server)), crl_fetch: limits })
}

const serve = (list: string | Buffer) => {
  respond = (_request, response) => response.end(list)
}

test('a list is fetched when a certificate first needs it, and only then', async () => {
  const [ada, bob] = [client('ada'), client('bob')]
  serve(derOf(root.crl([ada])))
  const gateway = await startFetching()
  expect(asked).toEqual([])
  expect((await gateway.get('/', { as: ada })).status).toBe(400)
  expect((await gateway.get('/', { as: bob })).status).toBe(200)
  expect(asked).toEqual(['/root.crl'])
})

test('the metrics tell when a fetched list must have been replaced, but not of one that another key has signed', async () => {
  const end = 5
  serve(root.crl([], { nextUpdate: end }))
  const gateway = await startFetching()
  await gateway.get('/', { as: client('bob') })
  const { text } = await gateway.getAdmin('/metrics')
  const told = Number(/crl_next_update_timestamp_seconds\{name="CN=root"\} (\d+)/.exec(text)?.[1])
  expect(Math.abs(told - (Date.now() / 1000 + end * 86_400))).toBeLessThan(60)
  expect(text).toContain('sallyport_crl_fetches_total{result="success"} 1')

  serve(root.crl([], { signer: authority('root') }))
  const misled = await startFetching()
  await misled.get('/', { as: client('bob') })
  expect((await misled.getAdmin('/metrics')).text).not.toContain('crl_next_update_timestamp_seconds{')
})

test('many handshakes at once ask one question', async () => {
  const bob = client('bob')
  respond = (_request, response) => void pause(300).then(() => response.end(root.crl()))
  const gateway = await startFetching()
  const answers = await Promise.all(Array.from({ length: 8 }, () => gateway.get('/', { as: bob })))
  expect(answers.map(({ status }) => status)).toEqual(Array(8).fill(200))
  expect(asked).toEqual(['/root.crl'])
})

test('every certificate of the chain is looked up where it says', async () => {
  const department = root.authority('department', points(`${address}${folder}/root.crl`))
  const eve = client('eve', '/department.crl', department)
  let revoked: Issued[] = []
  respond = ({ url }, response) => response.end(url?.endsWith('/root.crl') ? root.crl(revoked) : department.crl())
  const gateway = await startFetching()
  expect((await gateway.get('/', { as: eve })).status).toBe(200)
  expect(asked.toSorted()).toEqual(['/department.crl', '/root.crl'])
  revoked = [department]
  const another = await startFetching()
  expect((await another.get('/', { as: eve })).status).toBe(400)
})

describe('what is no list of the authority refuses', () => {
  test.each<[string, () => void, string]>([
    ['an error', () => (respond = (_request, response) => response.writeHead(500).end()), 'the answer is 500'],
    [
      'a redirection',
      () => (respond = (_request, response) => response.writeHead(302, { location: '/x' }).end()),
      'the answer is 302',
    ],
    ['no answer in time', () => (respond = () => {}), 'no answer within 1000 ms'],
    [
      'another protocol',
      () =>
        (respond = (_request, { socket }) =>
          socket?.write('HTTP/1.1 101 x\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n')),
      'the answer is 101',
    ],
    ['too many bytes', () => serve(Buffer.alloc(5000)), 'more than 4096 bytes'],
    ['garbage', () => serve('no list'), 'no PEM block'],
    [
      'a delta list',
      () => serve(root.crl([], { extensions: [extension('2.5.29.27', Buffer.from([2, 1, 1]), true)] })),
      'delta list',
    ],
    [
      'a list that another key has signed',
      () => serve(root.crl([], { signer: authority('root') })),
      'not signed by CN=root',
    ],
    ["another authority's list", () => serve(authority('other').crl()), 'no list of CN=root'],
  ])('%s', async (_what, prepare, reason) => {
    prepare()
    const gateway = await startFetching({}, { timeout: '1s', max_size: 4096 })
    const answer = await gateway.get('/', { as: client('bob') })
    expect(answer.status).toBe(400)
    expect(await gateway.line(answer)).toMatchObject({ verify_reason: 'unable to get certificate CRL' })
    const told = await waitFor('the warning', () =>
      gateway.log.find(({ msg }) => msg === 'revocation list cannot be fetched'),
    )
    expect(told.reason).toContain(reason)
    expect((await gateway.getAdmin('/metrics')).text).toContain('sallyport_crl_fetches_total{result="error"} 1')
  })

  test('IGNORE_CA_ERROR lets the client in all the same', async () => {
    respond = (_request, response) => response.writeHead(500).end()
    const gateway = await startFetching({ revocation_check_mode: 'IGNORE_CA_ERROR' })
    expect((await gateway.get('/', { as: client('bob') })).status).toBe(200)
  })
})

test('a list that an open connection rests on is fetched again and again, though nobody else comes: its client is cut off once he is on it', async () => {
  const ada = client('ada')
  serve(root.crl([], { thisUpdate: -2 }))
  const gateway = await startFetching({}, { interval: '500ms' })
  const open = await gateway.open({ as: ada })
  // Several times longer ago than what nobody needs is remembered.
  await waitFor('eight questions', () => asked.length >= 8)
  expect(open.isClosed).toBe(false)
  serve(root.crl([ada]))
  await within(10, 'the end of the connection', open.closed)
  await gateway.logged({ msg: 'connection ended', subject: 'CN=ada' })
})

test('a failure is not kept: the next handshake after a moment asks again', async () => {
  respond = (_request, response) => response.writeHead(503).end()
  const gateway = await startFetching()
  const bob = client('bob')
  expect((await gateway.get('/', { as: bob })).status).toBe(400)
  serve(root.crl())
  await waitFor('bob to be let in', async () => (await gateway.get('/', { as: bob })).status === 200, 15)
  expect(asked).toHaveLength(2)
})

test('other addresses than http: are not asked, nor those of strangers, nor any where it is off', async () => {
  serve(root.crl())
  const gateway = await startFetching()
  expect((await gateway.get('/', { as: client('bob', 'ldap://127.0.0.1/root') })).status).toBe(400)
  expect((await gateway.get('/', { as: client('eve', '/strangers.crl', authority('strangers')) })).status).toBe(400)
  const off = await startFetching({ ssl_crl_fetch: 'off' })
  expect((await off.get('/', { as: client('bob') })).status).toBe(200)
  expect(asked).toEqual([])
})
