import type { Worker } from 'node:cluster'
import type { FromWorker, ToWorker } from './messages.ts'
import { send } from './send.ts'

/** What the supervisor asks its workers, until they answer. */
export class Questions {
  readonly #waiting = new Map<number, (answer: FromWorker) => void>()
  #asked = 0

  /** Undefined where the worker does not answer within `time` milliseconds, or ends. */
  ask(worker: Worker, question: (id: number) => ToWorker, time: number): Promise<FromWorker | undefined> {
    const id = ++this.#asked
    return new Promise((resolve) => {
      const answered = (answer?: FromWorker) => {
        clearTimeout(timer)
        worker.off('exit', gone)
        this.#waiting.delete(id)
        resolve(answer)
      }
      const gone = () => answered()
      const timer = setTimeout(answered, time)
      worker.once('exit', gone)
      this.#waiting.set(id, answered)
      send(worker, question(id))
    })
  }

  /** Where nobody waits for it any more, it is late. */
  answered(id: number, answer: FromWorker): void {
    this.#waiting.get(id)?.(answer)
  }
}
