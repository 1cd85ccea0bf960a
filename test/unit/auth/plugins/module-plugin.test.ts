import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from '@jest/globals'
import { ModulePlugin, type ModulePluginOptions } from '../../../../src/auth/plugins/module-plugin.ts'
import { temporaryFolder } from '../../../support/folder.ts'
import { pause, waitFor } from '../../../support/wait.ts'

const folder = temporaryFolder()
const told: string[] = []
const plugins: ModulePlugin[] = []
afterEach(() => {
  for (const plugin of plugins.splice(0)) plugin.close()
  told.length = 0
})

let made = 0
function pluginOf(code: string, options: Partial<ModulePluginOptions> = {}): ModulePlugin {
  made += 1
  const path = join(folder, `plugin${made}.mjs`)
  writeFileSync(path, code)
  const tell = (message: string) => void told.push(message)
  const plugin = new ModulePlugin({ path, settings: {}, timeout: 1000, maxPending: 10, log: tell, ...options })
  plugins.push(plugin)
  return plugin
}
const callWith = (payload: unknown) => ({ context: {}, payload, auth_context: { method_names: [] } })

/** Does what the payload says. */
const OBEDIENT = `
export async function authenticate(context, payload, authContext) {
  switch (payload) {
    case 'set': authContext.user_id = 'u'; return
    case 'result': return { status: true, response_data: { user_id: 'u' } }
    case 'no': throw Object.assign(new Error('no'), { name: 'Unauthorized' })
    case 'mistake': throw new TypeError('a mistake')
    case 'never': return new Promise(() => {})
    case 'hang': for (;;) {}
    case 'exit': process.exit(0)
    case 'where': return { status: false, response_body: { env: Object.keys(process.env) } }
  }
}`

describe('a module', () => {
  test.each<[string, object]>([
    ['set', { kind: 'returned', set: { user_id: 'u' } }],
    ['result', { kind: 'returned', value: { status: true, response_data: { user_id: 'u' } } }],
    ['no', { kind: 'unauthorized' }],
    ['where', { kind: 'returned', value: { status: false, response_body: { env: [] } } }],
  ])('answers to "%s"', async (payload, expected) => {
    const plugin = pluginOf(OBEDIENT)
    await plugin.ready()
    expect(await plugin.ask(callWith(payload))).toMatchObject(expected)
  })

  test('may be a class that is made with the settings', async () => {
    const code = `export default class School {
      constructor(settings) { this.settings = settings }
      authenticate() { return { status: true, response_data: { user_id: this.settings.user } } }
    }`
    const plugin = pluginOf(code, { settings: { user: 'of the settings' } })
    expect(await plugin.ask(callWith('x'))).toMatchObject({ value: { response_data: { user_id: 'of the settings' } } })
  })

  test.each([
    ['exports nothing', 'export const nothing = 1', /exports no function "authenticate"/],
    ['does not load', 'throw new Error("broken on purpose")', /broken on purpose/],
    ['is no JavaScript', 'export {', /./],
  ])('that %s is not ready, and says why', async (_, code, reason) => {
    await expect(pluginOf(code).ready()).rejects.toThrow(reason)
  })
})

describe('what costs nobody else', () => {
  test('an exception is of the one who asked', async () => {
    const plugin = pluginOf(OBEDIENT)
    await plugin.ready()
    const [mistake, result] = await Promise.allSettled(['mistake', 'result'].map((each) => plugin.ask(callWith(each))))
    expect([mistake?.status, result?.status]).toEqual(['rejected', 'fulfilled'])
  })

  test('an answer that never comes is waited for so long, and others are answered meanwhile', async () => {
    const plugin = pluginOf(OBEDIENT, { timeout: 1000 })
    await plugin.ready()
    const never = plugin.ask(callWith('never'))
    expect(await plugin.ask(callWith('set'))).toMatchObject({ kind: 'returned' })
    await expect(never).rejects.toMatchObject({ code: 'GW_UNDECIDED' })
    // It has said meanwhile that it lives, and is not ended.
    await expect(plugin.ask(callWith('never'))).rejects.toThrow(/did not answer/)
    expect(await plugin.ask(callWith('set'))).toMatchObject({ kind: 'returned' })
    expect(told).toEqual([])
  })

  test.each(['hang', 'exit'])(
    'after "%s" it is started anew, not at once and not by each who asks',
    async (payload) => {
      const plugin = pluginOf(OBEDIENT, { timeout: 300 })
      await plugin.ready()
      await expect(plugin.ask(callWith(payload))).rejects.toMatchObject({ code: 'GW_UNDECIDED' })
      await waitFor('the end of the thread', () => told.length > 0)
      await expect(plugin.ask(callWith('set'))).rejects.toThrow(/ended a moment ago/)
      const again = () =>
        plugin.ask(callWith('set')).then(
          ({ kind }) => kind === 'returned',
          () => false,
        )
      await waitFor('its next life', again)
    },
  )

  test('no more are waited for at once than may be', async () => {
    const plugin = pluginOf(OBEDIENT, { timeout: 500, maxPending: 1 })
    await plugin.ready()
    const never = plugin.ask(callWith('never'))
    await expect(plugin.ask(callWith('set'))).rejects.toMatchObject({ code: 'GW_OVERLOADED' })
    await expect(never).rejects.toThrow()
  })
})

test('one that is closed answers what it was asked, also later, and has no thread besides', async () => {
  const plugin = pluginOf(`setInterval(() => console.log('alive'), 10)
  export const authenticate = async () => {
    await new Promise((resolve) => setTimeout(resolve, 200))
    return { status: true, response_data: { user_id: 'u' } }
  }`)
  await plugin.ready()
  const last = plugin.ask(callWith('x'))
  await Promise.resolve()
  plugin.close()
  expect(await last).toMatchObject({ kind: 'returned' })
  await expectNoLife()
  const later = [plugin.ask(callWith('x')), plugin.ask(callWith('y'))]
  expect(await Promise.all(later)).toMatchObject([{ kind: 'returned' }, { kind: 'returned' }])
  await expectNoLife()
  expect(told.filter((line) => !line.startsWith('printed: alive'))).toEqual([])
})

async function expectNoLife(): Promise<void> {
  let heard = -1
  await waitFor('the end of the thread', async () => {
    const isSilent = told.length === heard
    heard = told.length
    if (!isSilent) await pause(200)
    return isSilent
  })
}
