import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { findPlugin, parseAddress } from '../../../src/plugins/address.ts'
import { whenFileEnds } from '../../support/cleanup.ts'
import { temporaryFolder } from '../../support/folder.ts'

async function socketAt(path: string): Promise<void> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(path, resolve))
  whenFileEnds(() => void server.close())
}

function folders() {
  return { sockets: [temporaryFolder()], specs: [temporaryFolder(), temporaryFolder()] }
}

test('a socket goes before any file, directly or in a folder of the name', async () => {
  const { sockets, specs } = folders()
  writeFileSync(join(specs[0] as string, 'sss.spec'), 'http://127.0.0.1:1')
  mkdirSync(join(sockets[0] as string, 'sss'))
  const path = join(sockets[0] as string, 'sss', 'sss.sock')
  await socketAt(path)
  expect(findPlugin('sss', { sockets, specs })).toEqual({
    url: `unix://${path}`,
    target: { socketPath: path },
    tls: undefined,
  })
})

test('what only looks like a socket is none', () => {
  const { sockets, specs } = folders()
  writeFileSync(join(sockets[0] as string, 'sss.sock'), '')
  expect(() => findPlugin('sss', { sockets, specs })).toThrow(`no plugin "sss" in ${[...sockets, ...specs].join(', ')}`)
})

test("a file is found where the folder of sockets is closed to us, as on a host of Docker's", () => {
  const { sockets, specs } = folders()
  // Root may look into any folder, but not into a link to itself.
  const closed = join(sockets[0] as string, 'circle')
  symlinkSync('circle', closed)
  writeFileSync(join(specs[0] as string, 'sss.spec'), 'http://127.0.0.1:7000')
  expect(findPlugin('sss', { sockets: [closed], specs }).url).toBe('http://127.0.0.1:7000')
})

test('.spec goes before .json in one folder, and the first folder before the second', () => {
  const { sockets, specs } = folders()
  const [first, second] = specs as [string, string]
  writeFileSync(join(second, 'sss.spec'), 'tcp://127.0.0.1:2\n')
  writeFileSync(join(first, 'sss.json'), '{"addr":"http://127.0.0.1:1"}')
  expect(findPlugin('sss', { sockets, specs }).target).toEqual({ host: '127.0.0.1', port: 1 })
  writeFileSync(join(first, 'sss.spec'), ' http://[::1]:3/ignored/path \n')
  expect(findPlugin('sss', { sockets, specs })).toMatchObject({ target: { host: '::1', port: 3 }, tls: undefined })
})

test('.json brings the files for TLS, and its verification cannot be switched off', () => {
  const { sockets, specs } = folders()
  const file = join(specs[0] as string, 'sss.json')
  const ca = join(specs[0] as string, 'ca.pem')
  writeFileSync(ca, 'PEM')
  writeFileSync(file, JSON.stringify({ Name: 'other', Addr: 'https://maps.test', TLSConfig: { CAFile: ca } }))
  expect(findPlugin('sss', { sockets, specs })).toEqual({
    url: 'https://maps.test',
    target: { host: 'maps.test', port: 443 },
    tls: { ca: 'PEM', cert: undefined, key: undefined },
  })
  writeFileSync(file, JSON.stringify({ Addr: 'https://maps.test', TLSConfig: { InsecureSkipVerify: true } }))
  expect(() => findPlugin('sss', { sockets, specs })).toThrow(/name the authority in CAFile/)
  writeFileSync(file, JSON.stringify({ Addr: 'https://maps.test', TLSConfig: { CAFile: '/nowhere.pem' } }))
  expect(() => findPlugin('sss', { sockets, specs })).toThrow(/nowhere\.pem" cannot be read/)
})

test.each(['../../etc/passwd', '', '.hidden', 'a/b', 'a b'])('%j is no name of a plugin', (name) => {
  expect(() => findPlugin(name, folders())).toThrow(/is no plugin's name/)
})

test.each(['sss', '/run/sss.sock', 'npipe://x', 'ftp://x', 'unix://relative', `unix:///${'x'.repeat(107)}`, 'http://'])(
  '%s is no address',
  (text) => {
    expect(() => parseAddress(text, 'sss.spec')).toThrow(/^sss\.spec: /)
  },
)
