import type { Worker } from 'node:cluster'
import type { AddressInfo } from 'node:net'
import { ConfigError } from '../errors.ts'
import type { FromWorker } from './messages.ts'

/**
 * Resolves to where a worker listens, once it serves. Reloads wait for workers that start, so that one that hangs, as a new version may, must not be
 * waited for without end. `time` is in milliseconds.
 * @throws ConfigError where it refuses the configuration, Error where it ends before it serves or takes too long
 */
export async function untilServing(worker: Worker, time: number): Promise<readonly AddressInfo[]> {
  let timer: NodeJS.Timeout | undefined
  try {
    return await new Promise((resolve, reject) => {
      timer = setTimeout(() => reject(new Error(`the worker did not serve within ${time / 1000} seconds`)), time)
      worker.on('message', (message: FromWorker) => {
        if (message.kind === 'started') resolve(message.addresses)
        else if (message.kind === 'refused') reject(new ConfigError(message.problems))
      })
      worker.on('error', reject).once('exit', () => reject(new Error('the worker ended before it served')))
    })
  } finally {
    clearTimeout(timer)
  }
}
