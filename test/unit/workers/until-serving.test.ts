import type { Worker } from 'node:cluster'
import { EventEmitter } from 'node:events'
import { expect, test } from '@jest/globals'
import { untilServing } from '../../../src/workers/until-serving.ts'

/** What it may tell its supervisor of. */
const worker = () => new EventEmitter() as unknown as Worker & EventEmitter

const ADDRESS = { address: '127.0.0.1', family: 'IPv4', port: 8443 }

test('once a worker serves, it is known where', async () => {
  const started = worker()
  const serving = untilServing(started, 60_000)
  started.emit('message', { kind: 'store', id: 1, operation: 'get', values: ['a'] })
  started.emit('message', { kind: 'started', addresses: [ADDRESS] })
  expect(await serving).toEqual([ADDRESS])
  started.emit('error', new Error('a later one ends nothing'))
})

test('one that hangs is not waited for without end, as reloads wait for it', async () => {
  await expect(untilServing(worker(), 20)).rejects.toThrow('the worker did not serve within 0.02 seconds')
})

test('one that ends, or refuses the configuration, is not waited for at all', async () => {
  const [ending, refusing] = [worker(), worker()]
  const [ended, refused] = [untilServing(ending, 60_000), untilServing(refusing, 60_000)]
  ending.emit('exit', 1)
  refusing.emit('message', { kind: 'refused', problems: [{ path: 'workers', message: 'is wrong' }] })
  await expect(ended).rejects.toThrow('the worker ended before it served')
  await expect(refused).rejects.toThrow('workers: is wrong')
})
