/** Waiting for conditions, never for times: the limits only end what will not come, so they leave room for a machine that is busy with other things. */

/** Resolves with the first value of `probe` that is neither undefined nor false; rejects after `seconds`, naming `what` was awaited. */
export async function waitFor<T>(
  what: string,
  probe: () => T | Promise<T>,
  seconds = 30,
): Promise<Exclude<T, undefined | false>> {
  const deadline = performance.now() + seconds * 1000
  for (;;) {
    const value = await probe()
    if (value !== undefined && value !== false) return value as Exclude<T, undefined | false>
    if (performance.now() > deadline) throw new Error(`waited ${seconds} s in vain for ${what}`)
    await pause(15)
  }
}

/** For a slow peer that a test plays, or to show that nothing happens; a condition is awaited by `waitFor`. */
export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}

/** Rejects when `promise` has not settled after `seconds`, naming what was awaited, so that a hang is told from a wrong answer. */
export function within<T>(seconds: number, what: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${seconds} s in vain for ${what}`)), seconds * 1000)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}
