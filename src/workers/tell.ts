import type { Worker } from 'node:cluster'
import type { ToWorker } from './messages.ts'

/** One that has just ended is not told anything; its end is handled where it is noticed. */
export function tell(worker: Worker, message: ToWorker): void {
  if (worker.isConnected()) worker.send(message, () => {})
}
