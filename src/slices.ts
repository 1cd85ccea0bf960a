/** Long work that lets requests through: a generator that yields wherever it may be interrupted. */
export type Slices<T> = Generator<undefined, T, undefined>

/** How long one slice may take, in milliseconds. A request takes several turns of the event loop, and waits for one slice in each. */
const SLICE = 1

export function atOnce<T>(work: Slices<T>): T {
  for (;;) {
    const step = work.next()
    if (step.done) return step.value
  }
}

/** Whatever follows begins in a slice of its own where this one is over. */
export async function inSlices<T>(work: Slices<T>): Promise<T> {
  for (let end = performance.now() + SLICE; ; ) {
    const step = work.next()
    if (performance.now() >= end) {
      await new Promise((resolve) => setImmediate(resolve))
      end = performance.now() + SLICE
    }
    if (step.done) return step.value
  }
}

/** Long work that waits in between: to be awaited wherever it may be interrupted. Undefined as long as the slice is not over. */
export function inTurns(): () => Promise<void> | undefined {
  let end = performance.now() + SLICE
  return () => {
    if (performance.now() < end) return undefined
    return new Promise((resolve) => {
      setImmediate(() => {
        end = performance.now() + SLICE
        resolve()
      })
    })
  }
}

/** Does a step for each, in slices, one after the other where a step waits. */
export async function forEachInSlices<T>(all: readonly T[], step: (each: T) => void | Promise<void>): Promise<void> {
  // Whoever asks for this, such as a reload, has computed already in this turn.
  await new Promise((resolve) => setImmediate(resolve))
  const sliceOver = inTurns()
  for (const each of all) {
    const pause = sliceOver()
    if (pause) await pause
    const wait = step(each)
    if (wait instanceof Promise) await wait
  }
}
