import { execFileSync } from 'node:child_process'
import { join } from 'node:path'

const program = join(import.meta.dirname, '..', '..', 'src', 'garbage.ts')

/** Full collections while little is given out, in a process that has dropped a configuration's worth of old memory. */
function collectionsAfter(call: string): { full: number; stillHeld: boolean } {
  const script = `
    import { mock } from 'node:test'
    import { setTimeout as sleep } from 'node:timers/promises'
    import { constants, PerformanceObserver } from 'node:perf_hooks'
    import { collectLate, collectSoon } from ${JSON.stringify(program)}
    collectLate()
    let old = Array.from({ length: 100_000 }, (_, i) => ({ name: 'route ' + i }))
    const held = new WeakRef(old)
    // Old enough to be out of the young generation.
    for (let i = 0; i < 100; i++) Array.from({ length: 10_000 }, (_, j) => ({ j }))
    await sleep(10)
    let full = 0
    new PerformanceObserver((list) => {
      full += list.getEntries().filter(({ detail }) => detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR).length
    }).observe({ entryTypes: ['gc'] })
    old = undefined
    ${call}
    for (let i = 0; i < 40; i++) {
      Array.from({ length: 10_000 }, (_, j) => ({ j }))
      await sleep(5)
    }
    console.log(JSON.stringify({ full, stillHeld: held.deref() !== undefined }))`
  const output = execFileSync(process.execPath, ['--no-warnings', '--input-type=module', '-e', script], {
    encoding: 'utf8',
  })
  return JSON.parse(output) as { full: number; stillHeld: boolean }
}

describe('what a configuration that was replaced leaves behind', () => {
  it('waits for a late collection where nobody asks', () => {
    expect(collectionsAfter('')).toEqual({ full: 0, stillHeld: true })
  })

  it('is collected soon after a reload, beside whatever goes on', () => {
    const { full, stillHeld } = collectionsAfter('collectSoon()')
    expect(full).toBeGreaterThan(0)
    expect(stillHeld).toBe(false)
  })

  it('waits again as before some seconds later', () => {
    const later =
      "mock.timers.enable({ apis: ['setTimeout'] }); collectSoon(); mock.timers.tick(3000); mock.timers.reset()"
    expect(collectionsAfter(later)).toEqual({ full: 0, stillHeld: true })
  })
})
