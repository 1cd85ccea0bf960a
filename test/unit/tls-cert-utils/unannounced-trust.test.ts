import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { connect, createServer, getCACertificates, type Server } from 'node:tls'
import { afterAll, expect, test } from '@jest/globals'
import { trustingUnannounced } from '../../../src/tls-cert-utils/unannounced-trust.ts'
import { authority, type Issued } from '../../support/pki.ts'

const root = authority('root')
const other = authority('other')
const front = root.server('localhost')
const servers: Server[] = []

afterAll(() => {
  for (const server of servers) server.close()
})

async function serverThatTrusts(pems: readonly string[]): Promise<Server> {
  const server = trustingUnannounced(pems, () =>
    createServer({ cert: front.chain, key: front.key, requestCert: true, rejectUnauthorized: false }, (socket) =>
      socket.end(String(socket.authorized)),
    ),
  )
  servers.push(server)
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return server
}

async function isTrusted(server: Server, as: Issued): Promise<string> {
  const { port } = server.address() as AddressInfo
  const client = connect({ port, host: '127.0.0.1', cert: as.chain, key: as.key, rejectUnauthorized: false })
  const [said] = (await once(client.setEncoding('utf8'), 'data')) as [string]
  client.destroy()
  return said
}

test('a server trusts these authorities alone, also after another one was made', async () => {
  const [first, second] = [await serverThatTrusts([root.certificate]), await serverThatTrusts([other.certificate])]
  const [ada, mallory] = [root.client('ada'), other.client('mallory')]
  expect(await isTrusted(first, ada)).toBe('true')
  expect(await isTrusted(first, mallory)).toBe('false')
  expect(await isTrusted(second, ada)).toBe('false')
  expect(await isTrusted(second, mallory)).toBe('true')
})

test('without an authority it trusts nobody, not the public ones', async () => {
  expect(await isTrusted(await serverThatTrusts([]), root.client('ada'))).toBe('false')
  const defaults = trustingUnannounced([], () => getCACertificates('default'))
  expect(defaults).toEqual([])
})

test('what everybody else trusts is as it was, also where making fails', async () => {
  const before = getCACertificates('default')
  await serverThatTrusts([root.certificate])
  expect(() =>
    trustingUnannounced([root.certificate], () => {
      throw new Error('no')
    }),
  ).toThrow('no')
  expect(getCACertificates('default')).toEqual(before)
})
