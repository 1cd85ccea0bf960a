/** Long work beside which requests go on: a generator that yields wherever it may be interrupted. */
export type Slices<T> = Generator<undefined, T, undefined>

/** In milliseconds. A request takes some turns of the event loop, and so waits for as many slices. */
const SLICE = 2

export function atOnce<T>(work: Slices<T>): T {
  for (;;) {
    const step = work.next()
    if (step.done) return step.value
  }
}

export async function inSlices<T>(work: Slices<T>): Promise<T> {
  for (let end = performance.now() + SLICE; ; ) {
    const step = work.next()
    if (step.done) return step.value
    if (performance.now() < end) continue
    await new Promise((resolve) => setImmediate(resolve))
    end = performance.now() + SLICE
  }
}
