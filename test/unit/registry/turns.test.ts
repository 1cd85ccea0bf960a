import { expect, test } from '@jest/globals'
import type { HttpResponse } from '../../../src/http-messages.ts'
import { forwardFiltered } from '../../../src/registry/list-filter.ts'
import { ListPages } from '../../../src/registry/list-pages.ts'
import type { Realm } from '../../../src/registry/realm.ts'
import type { Rights } from '../../../src/registry/rights.ts'
import { createRobots } from '../../../src/registry/robots.ts'
import { TokenService } from '../../../src/registry/token-service.ts'
import type { Call, Service } from '../../../src/types.ts'
import { caller } from '../auth/support.ts'

const MANY = Array.from({ length: 20 }, (_, i) => `n${i}`)

/** So long that everybody else should have a turn after it. */
function ponder(): void {
  for (const end = performance.now() + 2; performance.now() < end; );
}

/** What `work` has answered, and how often others had their turn meanwhile. */
async function withOthers(work: (response: HttpResponse) => Promise<void>) {
  let turns = 0
  let text = ''
  const others = () => {
    turns++
    next = setImmediate(others)
  }
  let next = setImmediate(others)
  await work({
    ...{ req: { method: 'GET' }, once: () => {}, writeHead: () => {} },
    end: (body: Buffer | string) => {
      text = String(body)
    },
  } as unknown as HttpResponse)
  clearImmediate(next)
  return { turns, answer: JSON.parse(text) as Record<string, unknown> }
}

test('while a long list is filtered, others have their turn: whoever may push makes it as long as he likes', async () => {
  const mayShow = (entry: string) => {
    ponder()
    return entry !== 'n7'
  }
  const backend = {
    forward: async (_: Call, response: HttpResponse) => {
      response.writeHead(200, undefined, [])
      response.end(JSON.stringify({ name: 'team/app', tags: MANY }))
    },
  } as unknown as Service
  const pages = new ListPages(Buffer.alloc(32), '/v2/team/app/tags/list', mayShow)
  const filter = { pages, list: 'tags', mayShow } as const
  const call = { headers: { received: [] as readonly string[] } } as Call
  const { turns, answer } = await withOthers((response) => forwardFiltered(backend, call, response, filter))
  expect(answer).toEqual({ name: 'team/app', tags: MANY.filter((entry) => entry !== 'n7') })
  expect(turns).toBeGreaterThanOrEqual(MANY.length - 1)
})

test('while the scopes of one token are judged, others have their turn: there may be many, and patterns made anew for each', async () => {
  const rights: Rights = {
    byCertificate: false,
    judge(_, { actions }) {
      ponder()
      return { granted: actions, reasons: [] }
    },
  }
  const realm: Partial<Realm> = {
    ...{ name: 'main', services: new Set(['hub']), maxScopes: MANY.length, tokenLifetime: 60_000, rights },
    ...{ robots: createRobots([]), addressOf: () => '192.0.2.1' },
    signer: {
      ...{ issuer: 'main', verify: () => undefined, jwks: () => ({ keys: [] }) },
      sign: ({ access }) => access.map(({ name }) => name).join(),
    },
  }
  const service = new TokenService({ name: 'tokens', realms: [realm as Realm], record: () => {} })
  const call = {
    ...caller({}),
    ...{ method: 'GET', target: `/token?service=hub&scope=${MANY.map((name) => `repository:${name}:pull`).join('+')}` },
    ...{ record: {}, identity: { user: undefined, methods: [], credential: undefined, expiresAt: 1e15 } },
  } as unknown as Call
  const { turns, answer } = await withOthers((response) => service.forward(call, response))
  expect(answer.token).toBe(MANY.join())
  expect(turns).toBeGreaterThanOrEqual(MANY.length - 1)
})
