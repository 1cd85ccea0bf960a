import type { Worker } from 'node:cluster'
import type { ToWorker } from './messages.ts'

/** Does nothing for a worker that has just ended: its end is handled where it is noticed. */
export function send(worker: Worker, message: ToWorker): void {
  if (worker.isConnected()) worker.send(message, () => {})
}
