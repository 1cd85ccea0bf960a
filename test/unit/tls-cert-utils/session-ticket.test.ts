import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { connect, createServer } from 'node:tls'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { certificateInTicket } from '../../../src/tls-cert-utils/session-ticket.ts'
import { authority, type Issued } from '../../support/pki.ts'

const root = authority('root')
const ada = root.client('ada')
const keys = randomBytes(48)

/** The ticket that node:tls gives a client, under these keys. */
async function ticketFor(client: Issued | undefined): Promise<Buffer> {
  const { chain: cert, key } = root.server('localhost')
  const trust = { ca: root.certificate, requestCert: true, rejectUnauthorized: false }
  const server = createServer({ cert, key, ...trust, maxVersion: 'TLSv1.2', ticketKeys: keys }, (socket) =>
    socket.end(),
  )
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const own = client ? { cert: client.chain, key: client.key } : {}
  const socket = connect({ port, host: '127.0.0.1', servername: 'localhost', ca: root.certificate, ...own })
  try {
    await once(socket, 'secureConnect')
    return socket.getTLSTicket() ?? Buffer.alloc(0)
  } finally {
    socket.destroy()
    server.close()
  }
}

describe('certificateInTicket finds', () => {
  let ticket: Buffer
  beforeAll(async () => {
    ticket = await ticketFor(ada)
  })

  test("the client's certificate in what node:tls and OpenSSL wrote", () => {
    expect(certificateInTicket(ticket, keys)).toEqual(ada.der)
  })

  test('none where the client showed none', async () => {
    expect(certificateInTicket(await ticketFor(undefined), keys)).toBeUndefined()
  })

  test('none with other keys, nor with other keys of the same name', () => {
    expect(certificateInTicket(ticket, randomBytes(48))).toBeUndefined()
    expect(certificateInTicket(ticket, Buffer.concat([keys.subarray(0, 16), randomBytes(32)]))).toBeUndefined()
    expect(certificateInTicket(ticket, Buffer.concat([keys.subarray(0, 32), randomBytes(16)]))).toBeUndefined()
  })

  test('none in a ticket of any length that is cut off or changed', () => {
    for (let length = 0; length < ticket.length; length++)
      expect(certificateInTicket(ticket.subarray(0, length), keys)).toBeUndefined()
    for (const at of [0, 16, 40, ticket.length - 1]) {
      const changed = Buffer.from(ticket)
      changed[at] = (changed[at] as number) ^ 1
      expect(certificateInTicket(changed, keys)).toBeUndefined()
    }
  })
})
