import { setImmediate as turn } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** Whether `holder` still holds what the first step makes, once the second has replaced it. */
export async function isKept(holder: object, make: () => object, replace: () => object): Promise<boolean> {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const made = new WeakRef(make())
  replace()
  await turn()
  collect()
  // The holder is looked at last, so that it is not collected itself.
  return made.deref() !== undefined && holder !== undefined
}
