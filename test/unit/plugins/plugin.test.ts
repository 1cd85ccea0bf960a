import type { ServerResponse } from 'node:http'
import { join } from 'node:path'
import { expect, jest, test } from '@jest/globals'
import { parseAddress } from '../../../src/plugins/address.ts'
import { Plugin, PluginError } from '../../../src/plugins/plugin.ts'
import { type FakePlugin, startPlugin } from '../../support/plugin.ts'
import { waitFor } from '../../support/wait.ts'

const ACTIVATE = { 'Plugin.Activate': { Implements: ['ClientCertificateMapper'] } }

function hostOf(fake: Pick<FakePlugin, 'socket'>, parts: { timeout?: number; rest?: number } = {}): Plugin {
  const find = () => parseAddress(`unix://${fake.socket}`, 'test')
  return new Plugin({ name: 'sss', find, timeout: 2000, maxAnswer: 1000, rest: 10_000, ...parts })
}

test('is activated once, with an empty body, and asked as Docker asks', async () => {
  const fake = await startPlugin('sss', { ...ACTIVATE, 'A.B': { Answer: 1 } })
  const plugin = hostOf(fake)
  expect(await Promise.all([plugin.implements(), plugin.call('A.B', { q: 1 }), plugin.call('A.B', {})])).toEqual([
    ['ClientCertificateMapper'],
    { Answer: 1 },
    { Answer: 1 },
  ])
  expect(fake.calls.map(({ method }) => method)).toEqual(['Plugin.Activate', 'A.B', 'A.B'])
  expect(fake.calls[0]).toMatchObject({ body: '' })
  expect(fake.calls[1]).toMatchObject({
    body: '{"q":1}\n',
    headers: { accept: 'application/vnd.docker.plugins.v1.2+json', host: 'plugin.moby.localhost' },
  })
  expect(fake.calls[1]?.headers).not.toHaveProperty('content-type')
})

test.each([
  [
    'an error status with Err',
    (_body: string, response: ServerResponse) => void response.writeHead(500).end('{"Err":"no idea"}'),
    /A\.B: no idea/,
  ],
  [
    'an error status with text',
    (_body: string, response: ServerResponse) => void response.writeHead(404).end('nothing here'),
    /A\.B: nothing here/,
  ],
  ['success with Err', { Err: 'no idea' }, /A\.B: no idea/],
  ['another success', (_body: string, response: ServerResponse) => void response.writeHead(204).end(), /A\.B/],
  ['a list', [], /did not answer with a JSON object/],
  [
    'what is no JSON',
    (_body: string, response: ServerResponse) => void response.end('<html>'),
    /did not answer with a JSON object/,
  ],
  ['more than it may', { much: 'x'.repeat(2000) }, /more than 1000 bytes/],
  [
    'half an answer',
    (_body: string, response: ServerResponse) =>
      void response.writeHead(200, { 'Content-Length': 100 }).write('{', () => response.destroy()),
    /cannot be asked/,
  ],
])('%s is no answer', async (_name, answer, message) => {
  const fake = await startPlugin('sss', { ...ACTIVATE, 'A.B': answer as object })
  const plugin = hostOf(fake)
  await expect(plugin.call('A.B', {})).rejects.toThrow(message)
  await expect(plugin.call('A.B', {})).rejects.toBeInstanceOf(PluginError)
})

test('one that never answers is given up, and left alone after three failures', async () => {
  const fake = await startPlugin('sss', { ...ACTIVATE, 'A.B': () => {} })
  const plugin = hostOf(fake, { timeout: 300 })
  for (let i = 0; i < 3; i++) await expect(plugin.call('A.B', {})).rejects.toThrow(/no answer within 300 ms/)
  const asked = fake.calls.length
  await expect(plugin.call('A.B', {})).rejects.toThrow(/left alone for a while/)
  expect(fake.calls).toHaveLength(asked)
})

test('a refusal of its own does not count as a failure: whoever answers is there', async () => {
  const fake = await startPlugin('sss', { ...ACTIVATE, 'A.B': { Err: 'no' } })
  const plugin = hostOf(fake)
  for (let i = 0; i < 5; i++) await expect(plugin.call('A.B', {})).rejects.toThrow('A.B: no')
  expect(fake.calls.filter(({ method }) => method === 'A.B')).toHaveLength(5)
})

test('one that answers others is not left alone for calls that it lets hang', async () => {
  const fake = await startPlugin('sss', { ...ACTIVATE, 'A.B': () => {}, 'A.C': { n: 1 } })
  const plugin = hostOf(fake, { timeout: 300 })
  const hanging = Promise.allSettled([1, 2, 3].map(() => plugin.call('A.B', {})))
  await waitFor('the calls', () => fake.calls.filter(({ method }) => method === 'A.B').length === 3)
  await plugin.call('A.C', {})
  expect((await hanging).map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
  expect(await plugin.call('A.C', {})).toEqual({ n: 1 })
})

test('one that is lost is found again, and activated anew', async () => {
  const fake = await startPlugin('sss', { ...ACTIVATE, 'A.B': { n: 1 } })
  const plugin = hostOf(fake, { rest: 20 })
  expect(await plugin.call('A.B', {})).toEqual({ n: 1 })
  await fake.stop()
  await expect(plugin.call('A.B', {})).rejects.toBeInstanceOf(PluginError)
  const next = await startPlugin('sss', { ...ACTIVATE, 'A.B': { n: 2 } }, fake.folder)
  const answer = await waitFor('the new one', () => plugin.call('A.B', {}).catch(() => undefined))
  expect(answer).toEqual({ n: 2 })
  expect(next.calls[0]?.method).toBe('Plugin.Activate')
})

test('one that rests is asked again though the clock is set back', async () => {
  const fake = await startPlugin('sss', { ...ACTIVATE, 'A.B': { n: 1 } })
  const plugin = hostOf({ socket: join(fake.folder, 'none.sock') }, { rest: 20 })
  for (let i = 0; i < 3; i++) await expect(plugin.call('A.B', {})).rejects.toThrow('cannot be asked')
  const clock = jest.spyOn(Date, 'now').mockReturnValue(Date.now() - 86_400_000)
  try {
    const said = () => plugin.call('A.B', {}).catch(({ message }) => message)
    expect(await said()).toContain('is left alone for a while')
    await waitFor('the next attempt', async () => (await said()).includes('cannot be asked'))
  } finally {
    clock.mockRestore()
  }
})

test('one that does not say what it implements is none', async () => {
  const fake = await startPlugin('sss', { 'Plugin.Activate': { Implements: 'everything' } })
  await expect(hostOf(fake).implements()).rejects.toThrow(/does not say what it implements/)
})
