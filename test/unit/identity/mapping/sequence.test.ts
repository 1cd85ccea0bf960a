import { expect, test } from '@jest/globals'
import { MapperSequence } from '../../../../src/identity/mapping/sequence.ts'
import type { CertificateMapper, Mapping } from '../../../../src/types.ts'
import { fakeCertificate, fakeConnection } from '../../../support/fake-connection.ts'

const ada = { id: '1', name: 'ada', groups: [], customId: undefined }
const mapped: Mapping = { status: 'mapped', user: ada, reason: 'yes' }
const unmapped = (reason: string, ...headers: string[]) => ({ status: 'unmapped', reason, headers }) as const

function sequence(...answers: (Mapping | Promise<Mapping>)[]): {
  map: () => Mapping | Promise<Mapping>
  asked: string[]
} {
  const asked: string[] = []
  const mappers: CertificateMapper[] = answers.map((answer, i) => ({
    name: `m${i}`,
    map() {
      asked.push(`m${i}`)
      return answer
    },
  }))
  const all = new MapperSequence(mappers)
  return { asked, map: () => all.map(fakeCertificate(), fakeConnection()) }
}

test('the first that knows the certificate decides, and the others are not asked', () => {
  const { map, asked } = sequence(unmapped('no'), mapped, unmapped('never'))
  expect(map()).toBe(mapped)
  expect(asked).toEqual(['m0', 'm1'])
})

test('where none does, the reasons and headers of all are told', async () => {
  const { map } = sequence(unmapped('one', 'A', '1'), Promise.resolve(unmapped('two', 'B', '2')))
  expect(await map()).toEqual(unmapped('one; two', 'A', '1', 'B', '2'))
})

test('what it comes to holds no longer than what those before it said', () => {
  const for10 = (mapping: Mapping) => ({ ...mapping, until: 10 })
  expect(sequence(for10(unmapped('no')), mapped).map()).toMatchObject({ status: 'mapped', until: 10 })
  expect(sequence(unmapped('no'), for10(unmapped('no')), unmapped('no')).map()).toMatchObject({ until: 10 })
  expect(sequence({ ...mapped, until: 5 }).map()).toMatchObject({ until: 5 })
  expect(sequence(for10(unmapped('no')), { ...mapped, until: 5 }).map()).toMatchObject({ until: 5 })
})

test('one that cannot tell ends it: it might have named somebody else', async () => {
  const { map, asked } = sequence(Promise.reject(new Error('down')), mapped)
  await expect(map()).rejects.toThrow('down')
  expect(asked).toEqual(['m0'])
})

test('one that knows it as that of a user whom nothing lets in ends it too', () => {
  const { map, asked } = sequence(unmapped('no', 'A', '1'), { ...unmapped('off'), disabled: true }, mapped)
  expect(map()).toEqual({ ...unmapped('no; off', 'A', '1'), disabled: true })
  expect(asked).toEqual(['m0', 'm1'])
})
