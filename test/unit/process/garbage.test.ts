import { execFileSync } from 'node:child_process'
import { join } from 'node:path'

const program = join(import.meta.dirname, '..', '..', '..', 'src', 'process', 'garbage.ts')
const handler = join(import.meta.dirname, '..', '..', '..', 'src', 'server', 'listener-handler.ts')

/** Full collections while little is given out, in a process that has dropped a configuration's worth of old memory. */
function collectionsAfter(call: string): { full: number; stillHeld: boolean } {
  const script = `
    import { mock } from 'node:test'
    import { setImmediate as turn } from 'node:timers/promises'
    import { constants, PerformanceObserver } from 'node:perf_hooks'
    import { collectAfter, collectLate, collectSoon } from ${JSON.stringify(program)}
    import { createListenerHandler } from ${JSON.stringify(handler)}
    collectLate()
    let old = Array.from({ length: 100_000 }, (_, i) => ({ name: 'route ' + i }))
    const held = new WeakRef(old)
    // Old enough to be out of the young generation.
    for (let i = 0; i < 100; i++) Array.from({ length: 10_000 }, (_, j) => ({ j }))
    await turn()
    let full = 0
    // No timer, as those of the tests are turned by hand, and no clock, as the machine may be busy.
    const work = async () => {
      for (const begun = process.threadCpuUsage().user; process.threadCpuUsage().user - begun < 200_000; await turn())
        Array.from({ length: 1000 }, (_, j) => ({ j }))
    }
    new PerformanceObserver((list) => {
      full += list.getEntries().filter(({ detail }) => detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR).length
    }).observe({ entryTypes: ['gc'] })
    old = undefined
    ${call}
    await work()
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

  it('waits again as before once it has begun', () => {
    const { full } = collectionsAfter('collectSoon()')
    expect(full).toBe(1)
  })

  it('is collected whenever the gateway has something to do again, however long it rested', () => {
    const later =
      "mock.timers.enable({ apis: ['setTimeout'] }); collectSoon(); mock.timers.tick(3_600_000); mock.timers.reset()"
    expect(collectionsAfter(later)).toMatchObject({ stillHeld: false })
  })
})

describe('what is left behind where work goes on that makes many objects for a moment', () => {
  /** Beside work that goes on unless it is ended; the timers go on by so many milliseconds before. */
  const beside = (end: string, milliseconds: number) => `
    mock.timers.enable({ apis: ['setTimeout'] })
    const working = Promise.withResolvers()
    void collectAfter(working.promise)
    await turn()
    mock.timers.tick(${milliseconds})
    ${end}
    await turn()`

  it('waits until the work is done', () => {
    expect(collectionsAfter(beside('', 999))).toEqual({ full: 0, stillHeld: true })
    expect(collectionsAfter(beside('working.resolve()', 0))).toEqual({ full: 1, stillHeld: false })
  })

  it('is collected after a second at the latest, and only once', () => {
    expect(collectionsAfter(beside('', 1000))).toEqual({ full: 1, stillHeld: false })
    expect(collectionsAfter(`${beside('', 1000)}\nawait work()\nworking.resolve()`)).toEqual({
      full: 1,
      stillHeld: false,
    })
    expect(collectionsAfter(`${beside('working.resolve()', 0)}\nawait work()\nmock.timers.tick(1000)`).full).toBe(1)
  })

  it.each([0, 1000])(
    'is collected as well where the work fails after %d ms, and the failure is not hidden',
    (milliseconds) => {
      const failing = `
      mock.timers.enable({ apis: ['setTimeout'] })
      const working = Promise.withResolvers()
      const told = collectAfter(working.promise)
      await turn()
      mock.timers.tick(${milliseconds})
      working.reject(new Error('broken'))
      if (await told.then(() => true, () => false)) throw new Error('nobody was told')`
      expect(collectionsAfter(failing)).toEqual({ full: 1, stillHeld: false })
    },
  )

  it('is collected at once where there is no such work', () => {
    expect(collectionsAfter('void collectAfter(undefined)')).toEqual({ full: 1, stillHeld: false })
  })
})

describe('a rush of clients', () => {
  /** The percentages at which V8 is told to begin a full collection, after so many clients each second; 0 leaves it to V8. */
  function triggersAfter(...seconds: readonly number[]): string {
    const script = `
      import { syncBuiltinESMExports } from 'node:module'
      import { mock } from 'node:test'
      import v8 from 'node:v8'
      const flags = new Map()
      v8.setFlagsFromString = (flag) => flags.set(...flag.split('='))
      syncBuiltinESMExports()
      const { collectLate } = await import(${JSON.stringify(program)})
      const { createListenerHandler } = await import(${JSON.stringify(handler)})
      const metrics = { connectionsOpen: { increment() {} }, handshake() {}, clientVerified() {} }
      const { opened } = createListenerHandler({ metrics })
      mock.timers.enable({ apis: ['setTimeout'] })
      collectLate()
      for (const count of ${JSON.stringify(seconds)}) {
        mock.timers.tick(1000)
        for (let i = 0; i < count; i++) opened({ verification: { result: 'NONE' } })
      }
      console.log([...flags.values()].join())`
    const args = ['--no-warnings', '--input-type=module', '-e', script]
    return execFileSync(process.execPath, args, { encoding: 'utf8' }).trim()
  }

  it.each([
    ['late', 'where few come', [99], '80,90'],
    ['when V8 thinks best', 'as soon as there is one', [99, 100], '0,0'],
    ['when V8 thinks best', 'as long as it goes on', [100, 500, 3], '0,0'],
    ['late', 'a second after it', [100, 500, 3, 3], '80,90'],
    ['when V8 thinks best', 'in the next one', [100, 0, 0, 99, 200], '0,0'],
  ])('has full collections begin %s %s', (_when, _where, seconds, triggers) => {
    expect(triggersAfter(...seconds)).toBe(triggers)
  })

  it('leaves a heap behind that is collected half a minute later', () => {
    const script = `
      const metrics = { connectionsOpen: { increment() {} }, handshake() {}, clientVerified() {} }
      const handler = createListenerHandler({ metrics })
      mock.timers.enable({ apis: ['setTimeout'] })
      for (let i = 0; i < 200; i++) handler.opened({ verification: { result: 'NONE' } })
      await work()
      mock.timers.tick(30_000)`
    expect(collectionsAfter(script)).toEqual({ full: 1, stillHeld: false })
  })
})

describe("the shape of node's ticks", () => {
  /** How many shapes they had, in a process that has a full collection now and then, before and after what it is called for. */
  function shapesWith(call: string): number {
    const script = `
      import { executionAsyncResource } from 'node:async_hooks'
      import { setTimeout as sleep } from 'node:timers/promises'
      import { keepShapeOfTicks } from ${JSON.stringify(program)}
      ${call}
      for (let i = 0; i < 8; i++) {
        await new Promise((done) => process.nextTick(() => done(%DebugPrint(executionAsyncResource()))))
        for (let j = 0; j < 4; j++) {
          await sleep(1)
          gc()
        }
      }`
    const output = execFileSync(
      process.execPath,
      ['--no-warnings', '--expose-gc', '--allow-natives-syntax', '--input-type=module', '-e', script],
      { encoding: 'utf8' },
    )
    return new Set(Array.from(output.matchAll(/\[JS_OBJECT_TYPE\]\n - map: (\w+)/g), ([, address]) => address)).size
  }

  it('is forgotten with collections where no tick is kept', () => {
    expect(shapesWith('')).toBeGreaterThan(1)
  })

  it('is remembered where one is', () => {
    expect(shapesWith('keepShapeOfTicks()')).toBe(1)
  })
})

describe('what connections that have ended leave behind', () => {
  /** So many end, and so many seconds pass, in turns, with requests in between. */
  const closed = (...rounds: readonly [count: number, seconds: number][]) => `
    const handler = createListenerHandler({ metrics: { connectionsOpen: { decrement() {} } } })
    mock.timers.enable({ apis: ['setTimeout'] })
    const grown = []
    for (const [count, seconds] of ${JSON.stringify(rounds)}) {
      grown.push(Array.from({ length: 10_000 }, (_, i) => ({ name: 'connection ' + i })))
      await work()
      for (let i = 0; i < count; i++) handler.closed()
      mock.timers.tick(seconds * 1000)
    }`

  it('is collected half a minute after many have', () => {
    expect(collectionsAfter(closed([200, 30]))).toEqual({ full: 1, stillHeld: false })
  })

  it('is collected once for all of that time, however many', () => {
    expect(collectionsAfter(closed([200, 10], [200, 20], [0, 20], [0, 60])).full).toBe(1)
  })

  it('is collected again when as many have ended since', () => {
    expect(collectionsAfter(closed([200, 30], [200, 30], [0, 0], [0, 0], [0, 0])).full).toBe(2)
  })

  it.each([
    ['few', 199, 3600],
    ['many just now', 2000, 29],
  ])('waits after %s', (_which, count, seconds) => {
    expect(collectionsAfter(closed([count, seconds]))).toEqual({ full: 0, stillHeld: true })
  })
})
