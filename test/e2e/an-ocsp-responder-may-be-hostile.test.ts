/** Whoever answers on the way to a responder, over http: and without a key, lets nobody in, holds nobody for long, and spoils nothing for others. */
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { beforeAll, expect, test } from '@jest/globals'
import { whenFileEnds } from '../support/cleanup.ts'
import { implicit, objectIdentifier, sequence } from '../support/der.ts'
import type { Gateway } from '../support/gateway.ts'
import { type OcspAnswer, ocspAnswer } from '../support/ocsp-answers.ts'
import { authority, extension, type Issued } from '../support/pki.ts'
import { listenerOf, makeScene, type Scene } from '../support/scene.ts'

const OCSP_SIGNING = extension('2.5.29.37', sequence(objectIdentifier('1.3.6.1.5.5.7.3.9')))
const BUSY = '400 certificate status request failed'

let scene: Scene
let gateway: Gateway
let address: string
/** By the path that is asked for. */
const responses = new Map<string, (socket: Socket) => void>()
const sockets = new Set<Socket>()

beforeAll(async () => {
  scene = await makeScene()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.once('data', (question) => responses.get(question.toString('latin1').split(' ')[1] ?? '')?.(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  whenFileEnds(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const asks = { ssl_verify_client: 'on', ssl_ocsp: 'leaf', ssl_ocsp_timeout: '1s', ssl_ocsp_nonce: 'on' }
  gateway = await scene.start(listenerOf(scene.server(asks)))
})

/** A client whose certificate names a path of its own at the responder. */
function client(path: string, respond: (socket: Socket, self: Issued) => void): Issued {
  const url = implicit(6, Buffer.from(`${address}${path}`, 'latin1'))
  const access = extension('1.3.6.1.5.5.7.1.1', sequence(sequence(objectIdentifier('1.3.6.1.5.5.7.48.1'), url)))
  const issued = scene.clients.client(path.slice(1), { extensions: [access] })
  responses.set(path, (socket) => respond(socket, issued))
  return issued
}

const HEAD = 'HTTP/1.1 200 OK\r\nContent-Type: application/ocsp-response\r\n'
const whole = (bytes: Buffer) => Buffer.concat([Buffer.from(`${HEAD}Content-Length: ${bytes.length}\r\n\r\n`), bytes])
const signed = (self: Issued, parts: Partial<OcspAnswer> = {}) =>
  ocspAnswer({ about: self, issuer: scene.clients, ...parts })

/** Says something again and again until the other side has had enough. */
function drip(socket: Socket, text: string, pause: number): void {
  const timer = setInterval(() => socket.write(text), pause)
  socket.once('close', () => clearInterval(timer))
}

const HOSTILE: readonly (readonly [what: string, respond: (socket: Socket, self: Issued) => void, reason: RegExp])[] = [
  [
    'turns to another protocol',
    (socket) => socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n'),
    /the answer is 101/,
  ],
  [
    'drips',
    (socket, self) => {
      const bytes = whole(signed(self))
      socket.write(bytes.subarray(0, -1))
      drip(socket, '', 50)
    },
    /no answer within 1000 ms/,
  ],
  [
    'drips headers',
    (socket) => {
      socket.write(HEAD)
      drip(socket, 'X-More: and more\r\n', 50)
    },
    /no answer within 1000 ms/,
  ],
  ['gives hints for ever', (socket) => drip(socket, 'HTTP/1.1 103 Early Hints\r\n\r\n', 20), /no answer within/],
  [
    'sends chunks for ever',
    (socket) => {
      socket.write(`${HEAD}Transfer-Encoding: chunked\r\n\r\n`)
      drip(socket, `4000\r\n${'x'.repeat(0x4000)}\r\n`, 5)
    },
    /more than 65536 bytes/,
  ],
  [
    'announces two lengths',
    (socket) => socket.write(`${HEAD}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`),
    /Parse Error/,
  ],
  [
    'sends to another place',
    (socket) => socket.write(`HTTP/1.1 302 Found\r\nLocation: ${address}/honest\r\nContent-Length: 0\r\n\r\n`),
    /answers 302/,
  ],
  ['leaves in the middle', (socket, self) => socket.end(whole(signed(self)).subarray(0, -10)), /aborted/],
  ['says good of another certificate', (socket) => socket.write(whole(signed(scene.ada))), /about another certificate/],
  [
    'says good of the same number of another issuer',
    (socket, self) => socket.write(whole(signed(self, { issuer: scene.servers, signer: scene.clients }))),
    /about another certificate/,
  ],
  [
    'is a client of the same authority',
    (socket, self) => socket.write(whole(signed(self, { signer: self }))),
    /not signed by the issuer or by its responder/,
  ],
  [
    'is a responder of an authority of the same name',
    (socket, self) => {
      const stranger = authority('clients').client('responder', { purposes: [], extensions: [OCSP_SIGNING] })
      socket.write(whole(signed(self, { signer: stranger })))
    },
    /not signed by the issuer or by its responder/,
  ],
  [
    'was a responder',
    (socket, self) => {
      const late = { purposes: [], extensions: [OCSP_SIGNING], validFrom: -3, validUntil: -1 } as const
      socket.write(whole(signed(self, { signer: scene.clients.client('responder', late) })))
    },
    /not signed by the issuer or by its responder/,
  ],
  [
    'signs in the name of the issuer',
    (socket, self) => socket.write(whole(signed(self, { signer: self, named: scene.clients }))),
    /not signed by the issuer or by its responder/,
  ],
  [
    'names an algorithm that proves nothing',
    (socket, self) => socket.write(whole(signed(self, { algorithm: '1.3.14.3.2.26' }))),
    /signature|algorithm/,
  ],
  [
    'changes one bit',
    (socket, self) => {
      const answer = signed(self, { status: 'revoked' })
      const at = answer.indexOf(Buffer.from([0xa1, 0x11, 0x18, 0x0f]))
      expect(at).toBeGreaterThan(0)
      answer[at] = 0xa0
      socket.write(whole(answer))
    },
    /not signed by the issuer|damaged/,
  ],
  [
    'shows an old answer again',
    (socket, self) => socket.write(whole(signed(self, { thisUpdate: -48, nextUpdate: -24 }))),
    /out of date/,
  ],
  [
    'shows an old answer again that names no end',
    (socket, self) => socket.write(whole(signed(self, { thisUpdate: -48, nextUpdate: undefined }))),
    /out of date/,
  ],
  [
    'shows an answer to a question of somebody else',
    (socket, self) => socket.write(whole(signed(self, { nonce: Buffer.alloc(16, 7) }))),
    /another nonce/,
  ],
  [
    'answers for tomorrow',
    (socket, self) => socket.write(whole(signed(self, { thisUpdate: 24, nextUpdate: 48 }))),
    /of the future/,
  ],
  [
    'says more than it may',
    (socket, self) => socket.write(whole(Buffer.concat([signed(self), Buffer.alloc(9)]))),
    /damaged/,
  ],
]

test('an honest answer over the same way lets in, with and without an end, in one piece or in chunks', async () => {
  const honest = client('/honest', (socket, self) => socket.write(whole(signed(self))))
  const open = client('/open', (socket, self) =>
    socket.write(whole(signed(self, { thisUpdate: 0, nextUpdate: undefined }))),
  )
  const responder = scene.clients.client('responder', { purposes: [], extensions: [OCSP_SIGNING] })
  const delegated = client('/delegated', (socket, self) => {
    socket.write(`${HEAD}Transfer-Encoding: chunked\r\n\r\n`)
    const bytes = signed(self, { signer: responder })
    for (const byte of bytes)
      socket.write(Buffer.concat([Buffer.from('1\r\n'), Buffer.from([byte]), Buffer.from('\r\n')]))
    socket.write('0\r\n\r\n')
  })
  const revoked = client('/revoked', (socket, self) => socket.write(whole(signed(self, { status: 'revoked' }))))
  const status = async (as: Issued) => (await gateway.get('/', { as })).status
  expect(await Promise.all([honest, open, delegated, revoked].map(status))).toEqual([200, 200, 200, 400])
})

test('a responder that is none lets nobody in, however often it is asked', async () => {
  const refused = await Promise.all(
    HOSTILE.map(async ([what, respond, reason], i) => {
      const as = client(`/hostile-${i}`, respond)
      const lines = []
      for (let i = 0; i < 2; i++) lines.push(await gateway.line(await gateway.get('/', { as })))
      const verdicts = lines.map(({ status, verify_reason }) => `${status} ${verify_reason}`)
      const line = await gateway.logged({
        msg: 'no status of a client certificate',
        responder: `${address}/hostile-${i}`,
      })
      return { what, verdicts, reason: reason.test(String(line.reason)) ? 'as expected' : line.reason }
    }),
  )
  expect(refused).toEqual(HOSTILE.map(([what]) => ({ what, verdicts: [BUSY, BUSY], reason: 'as expected' })))
  expect(gateway.log.filter(({ level }) => level === 'error')).toEqual([])
})
