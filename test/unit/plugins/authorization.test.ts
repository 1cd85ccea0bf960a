import { expect, test } from '@jest/globals'
import { GatewayError } from '../../../src/errors.ts'
import { askPlugins } from '../../../src/plugins/authorization.ts'
import type { Plugin } from '../../../src/plugins/plugin.ts'
import type { Identity } from '../../../src/types.ts'
import { ada, caller } from '../auth/support.ts'

const IDENTITY: Identity = { user: ada, methods: ['password'], credential: undefined, expiresAt: 1e15 }
const WITHHELD = { isHeader: (name: string) => name === 'x-key', target: (target: string) => target }

/** What the plugins make of a request, and what each was asked. */
async function ask(...plugins: readonly Partial<Plugin>[]) {
  const questions: unknown[] = []
  const headers = ['X-Key', 'secret', 'Cookie', 'secret', 'x-other', 'a', 'X-OTHER', 'b']
  const made = plugins.map((plugin, i) => ({
    name: `p${i}`,
    implements: async () => ['authz'],
    ...plugin,
    call: async (method: string, question: object) => {
      questions.push(question)
      return plugin.call?.(method, question) ?? {}
    },
  }))
  const outcome = await askPlugins(made as unknown as Plugin[], caller({ headers }), IDENTITY, WITHHELD).then(
    () => 'passes',
    (error: unknown) => (error instanceof GatewayError ? error.code : String(error)),
  )
  return { outcome, questions }
}

const answers = (answer: object): Partial<Plugin> => ({ call: async () => ({ ...answer }) })

test('all of them must say true', async () => {
  expect(await ask(answers({ Allow: true }), answers({ Allow: true }))).toMatchObject({ outcome: 'passes' })
  const { outcome, questions } = await ask(answers({ Allow: false, Msg: 'no' }), answers({ Allow: true }))
  expect([outcome, questions.length]).toEqual(['GW_FORBIDDEN', 1])
})

test.each([{}, { Allow: 'true' }, { Allow: 1 }, { allow: true }])('%j lets nothing pass', async (answer) => {
  expect(await ask(answers(answer))).toMatchObject({ outcome: 'GW_FORBIDDEN' })
})

test('one that does not say that it authorizes cannot tell, whatever it answers', async () => {
  const mapper = { ...answers({ Allow: true }), implements: async () => ['ClientCertificateMapper'] }
  const { outcome, questions } = await ask(mapper)
  expect([outcome, questions.length]).toEqual(['GW_UNDECIDED', 0])
})

test('one that is away cannot tell', async () => {
  const away = { implements: () => Promise.reject(new Error('away')) }
  expect(await ask(away, answers({ Allow: true }))).toMatchObject({ outcome: 'GW_UNDECIDED' })
})

test('none is told a credential, and all values of a header are told under one name', async () => {
  const { questions } = await ask(answers({ Allow: true }))
  expect(questions).toMatchObject([{ User: 'ada', RequestHeaders: { 'X-Other': 'a, b' } }])
  expect(JSON.stringify(questions)).not.toContain('secret')
})
