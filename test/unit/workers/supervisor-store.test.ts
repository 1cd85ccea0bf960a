import { expect, test } from '@jest/globals'
import { MemoryStore } from '../../../src/store/memory.ts'
import type { StoreQuestion } from '../../../src/workers/messages.ts'
import { answerStore, SupervisorStore } from '../../../src/workers/supervisor-store.ts'
import { storeContract } from '../../contract/store.contract.ts'

/** A worker's store that asks `kept` through messages as they would travel. */
function asking(kept: MemoryStore): SupervisorStore {
  const store: SupervisorStore = new SupervisorStore((question: StoreQuestion) => {
    void answerStore(kept, structuredClone(question)).then((answer) => store.answered(structuredClone(answer)))
  })
  return store
}

storeContract("the supervisor's", async () => asking(new MemoryStore(1000)))

test('what one worker stores the others find', async () => {
  const kept = new MemoryStore(1000)
  const [one, other] = [asking(kept), asking(kept)]
  await one.set('revoked:a', 'yes', 10_000)
  expect(await other.get('revoked:a')).toBe('yes')
  expect([await one.add('used:1', '', 10_000), await other.add('used:1', '', 10_000)]).toEqual([true, false])
})

test('a store that is full is told as its own refusal', async () => {
  const store = asking(new MemoryStore(1))
  await store.set('revoked:a', '', 10_000)
  await expect(store.set('revoked:b', '', 10_000)).rejects.toMatchObject({
    code: 'GW_UNDECIDED',
    detail: expect.stringMatching(/max_entries/),
  })
})

test('a supervisor that gives no answer leaves it undecided', async () => {
  const store = new SupervisorStore(() => {}, 20)
  await expect(store.get('revoked:a')).rejects.toMatchObject({ code: 'GW_UNDECIDED' })
})
