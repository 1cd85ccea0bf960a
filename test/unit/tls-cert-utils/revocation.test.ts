import { createPublicKey } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import { Revocation, type RevocationOptions } from '../../../src/tls-cert-utils/revocation.ts'
import { readRevocationLists } from '../../../src/tls-cert-utils/revocation-list.ts'
import { bitString, boolean, objectIdentifier, octetString, sequence } from '../../support/der.ts'
import { factsOf } from '../../support/facts.ts'
import { type Authority, authority, type Issued, selfSigned } from '../../support/pki.ts'

const NOW = Date.now()
const DAY = 86_400_000
const root = authority('root')
const between = root.authority('between')
const ada = between.client('ada')
const eve = between.client('eve')
const CHAIN = [ada, between, root]

function judge(lists: readonly string[], options: Partial<RevocationOptions> = {}, chain: readonly Issued[] = CHAIN) {
  const read = lists.flatMap((list) => readRevocationLists(list))
  return new Revocation(read, { certificates: 'chain', mode: 'STRICT', ...options }).judge(chain.map(factsOf), NOW)
}

/** What refuses, as `code of the certificate at`. */
const refusals = (...asked: Parameters<typeof judge>) => judge(...asked).findings.map(({ code, at }) => `${code} ${at}`)

/** An authority whose key usage lets it sign certificates alone. */
function withoutCrlSign(name: string): Authority {
  const extension = (oid: string, value: Buffer) => sequence(objectIdentifier(oid), boolean(true), octetString(value))
  const onlyExtensions = [
    extension('2.5.29.19', sequence(boolean(true))),
    extension('2.5.29.15', bitString(Buffer.from([0x04]), 2)),
  ]
  return root.authority(name, { onlyExtensions })
}

describe('every certificate of a chain, the root too, needs the list of its issuer', () => {
  test('and with all of them whoever is in none is let in', () => {
    expect(refusals([root.crl(), between.crl([eve])])).toEqual([])
  })

  test.each<[string, () => string[], string[]]>([
    ['none at all', () => [], ['UNABLE_TO_GET_CRL 0', 'UNABLE_TO_GET_CRL 1', 'UNABLE_TO_GET_CRL 2']],
    ["none of the root's", () => [between.crl()], ['UNABLE_TO_GET_CRL 1', 'UNABLE_TO_GET_CRL 2']],
    ["none of the intermediate's", () => [root.crl()], ['UNABLE_TO_GET_CRL 0']],
  ])('%s', (_, lists, expected) => {
    expect(refusals(lists())).toEqual(expected)
  })

  test('but for the root where lists are fetched, which nobody else could revoke', () => {
    expect(refusals([root.crl()], { fetched: () => readRevocationLists(between.crl()) })).toEqual([])
    expect(refusals([], { fetched: () => [] })).toEqual(['UNABLE_TO_GET_CRL 0', 'UNABLE_TO_GET_CRL 1'])
  })

  test('and with leaf only the first does', () => {
    expect(refusals([between.crl()], { certificates: 'leaf' })).toEqual([])
  })

  test('also an intermediate that the chain ends with, of which its own list cannot speak', () => {
    expect(refusals([between.crl()], {}, [ada, between])).toEqual(['UNABLE_TO_GET_CRL 1'])
    const fetched = () => readRevocationLists(between.crl())
    expect(refusals([], { fetched }, [ada, between])).toEqual(['UNABLE_TO_GET_CRL 1'])
  })

  test('and a certificate that is trusted by itself needs one, also where lists are fetched', () => {
    const own = selfSigned('own')
    expect(refusals([], {}, [own])).toEqual(['UNABLE_TO_GET_CRL 0'])
    expect(refusals([], { fetched: () => [] }, [own])).toEqual(['UNABLE_TO_GET_CRL 0'])
  })
})

describe('refuses', () => {
  test.each<[string, () => string[], string[]]>([
    ['whoever is revoked', () => [root.crl(), between.crl([ada])], ['CERT_REVOKED 0']],
    ['whose issuer is revoked', () => [root.crl([between]), between.crl()], ['CERT_REVOKED 1']],
    ['by a list that is over', () => [root.crl(), between.crl([], { nextUpdate: -0.5 })], ['CRL_HAS_EXPIRED 0']],
    ['by a list of the future', () => [root.crl(), between.crl([], { thisUpdate: 1 })], ['CRL_NOT_YET_VALID 0']],
    [
      'by a list that somebody else has signed in the name of the authority',
      () => [root.crl(), between.crl([], { signer: root })],
      ['CRL_SIGNATURE_FAILURE 0'],
    ],
  ])('%s', (_, lists, expected) => {
    expect(refusals(lists())).toEqual(expected)
  })

  test('by the list of an authority that may not sign lists', () => {
    const issuer = withoutCrlSign('no lists')
    const chain = [issuer.client('bob'), issuer, root]
    expect(refusals([root.crl(), issuer.crl()], {}, chain)).toEqual(['KEYUSAGE_NO_CRL_SIGN 0'])
  })
})

describe('IGNORE_CA_ERROR', () => {
  const lenient = { mode: 'IGNORE_CA_ERROR' } as const

  test('tells what is missing or over, and refuses nobody for it', () => {
    const { findings, ignored } = judge([between.crl([], { nextUpdate: -0.5 })], lenient)
    expect(findings).toEqual([])
    expect(ignored.map(({ code, at }) => `${code} ${at}`)).toEqual([
      ...['CRL_HAS_EXPIRED 0', 'UNABLE_TO_GET_CRL 1', 'UNABLE_TO_GET_CRL 2'],
    ])
  })

  test('refuses whom an old list revokes, and what nobody but a forger can have made', () => {
    const old = [root.crl(), between.crl([ada], { nextUpdate: -0.5 })]
    expect(refusals(old, lenient)).toEqual(['CERT_REVOKED 0'])
    expect(refusals([root.crl(), between.crl([], { signer: root })], lenient)).toEqual(['CRL_SIGNATURE_FAILURE 0'])
  })

  test('refuses by forged lists also where there are several', () => {
    const forged = () => between.crl([], { signer: root })
    expect(refusals([root.crl(), forged(), forged()], lenient)).toEqual(['CRL_SIGNATURE_FAILURE 0'])
  })

  test('refuses by the list of an authority that may not sign lists', () => {
    const issuer = withoutCrlSign('no lists')
    const chain = [issuer.client('bob'), issuer, root]
    expect(refusals([root.crl(), issuer.crl()], lenient, chain)).toEqual(['KEYUSAGE_NO_CRL_SIGN 0'])
  })

  test('refuses nobody for a list of the future', () => {
    const { findings, ignored } = judge([root.crl(), between.crl([], { thisUpdate: 1 })], lenient)
    expect(findings).toEqual([])
    expect(ignored).toMatchObject([{ code: 'CRL_NOT_YET_VALID', at: 0 }])
  })

  test("takes the list of a namesake's key for none of the authority's", () => {
    const chain = [root.client('one'), root]
    const { findings, ignored } = judge([authority('root').crl()], { ...lenient, certificates: 'leaf' }, chain)
    expect(findings).toEqual([])
    expect(ignored).toMatchObject([{ code: 'UNABLE_TO_GET_CRL', at: 0 }])
  })
})

test('of several lists a current one counts, and of those the newest', () => {
  const older = between.crl([ada], { thisUpdate: -2 })
  const newer = between.crl([eve], { thisUpdate: -1 })
  const over = between.crl([ada], { thisUpdate: -0.5, nextUpdate: -0.1 })
  for (const lists of [
    [older, newer, over],
    [over, newer, older],
  ])
    expect(refusals([root.crl(), ...lists])).toEqual([])
})

test('lists of files and fetched ones count together', () => {
  const [older, newer] = [between.crl([], { thisUpdate: -2 }), between.crl([ada], { thisUpdate: -1 })]
  const leaf = { certificates: 'leaf' } as const
  for (const [file, fetched] of [
    [older, newer],
    [newer, older],
  ] as const)
    expect(refusals([file], { ...leaf, fetched: () => readRevocationLists(fetched) })).toEqual(['CERT_REVOKED 0'])
})

test('a fetched list speaks for its authority alone, not for another one with the same key', () => {
  const { privateKey } = between
  const renamed = root.authority('renamed', { keys: { privateKey, publicKey: createPublicKey(privateKey) } })
  const fetched = () => readRevocationLists(renamed.crl())
  expect(refusals([], { certificates: 'leaf', fetched })).toEqual(['UNABLE_TO_GET_CRL 0'])
})

test('of an authority and its namesake each has the lists that it signed, also where these do not name the key', () => {
  const namesake = authority('root')
  const [one, other] = [root.client('one'), namesake.client('other')]
  const lists = [root.crl([one], { version: 1 }), namesake.crl([], { version: 1 })]
  for (const both of [lists, lists.toReversed()]) {
    expect(refusals(both, {}, [one, root])).toEqual(['CERT_REVOKED 0'])
    expect(refusals(both, {}, [other, namesake])).toEqual([])
  }
  expect(refusals(lists.slice(0, 1), {}, [other, namesake])).toEqual([
    'CRL_SIGNATURE_FAILURE 0',
    'CRL_SIGNATURE_FAILURE 1',
  ])
})

test('it must be judged again when a list begins or ends, whichever comes first', () => {
  const { until } = judge([root.crl([], { nextUpdate: 3 }), between.crl([], { nextUpdate: 2 })])
  expect(Math.abs(until - (NOW + 2 * DAY))).toBeLessThan(60_000)
  const later = judge([root.crl(), between.crl([], { thisUpdate: 1, nextUpdate: 5 })]).until
  expect(Math.abs(later - (NOW + DAY))).toBeLessThan(60_000)
})

test('it need not be judged again for a list that is over already', () => {
  expect(judge([root.crl(), between.crl([], { nextUpdate: -0.5 })], { certificates: 'leaf' }).until).toBe(Infinity)
})

test('a list counts from its first moment on, and no more in that of its next update', () => {
  const [list] = readRevocationLists(between.crl())
  if (!list) throw new Error('no list')
  const revocation = new Revocation([list], { certificates: 'leaf', mode: 'STRICT' })
  const codesAt = (time: number) => revocation.judge(CHAIN.map(factsOf), time).findings.map(({ code }) => code)
  const { thisUpdate, nextUpdate } = list
  expect([thisUpdate - 1, thisUpdate, nextUpdate - 1, nextUpdate].map(codesAt)).toEqual([
    ...[['CRL_NOT_YET_VALID'], [], [], ['CRL_HAS_EXPIRED']],
  ])
  expect([thisUpdate - 1, thisUpdate, nextUpdate - 1, nextUpdate].map((time) => list.isCurrent(time))).toEqual([
    ...[false, true, true, false],
  ])
})

test('a stranger is told that no list speaks of him, which no passing of time changes', () => {
  const lists = new Revocation(readRevocationLists(between.crl()), { certificates: 'chain', mode: 'STRICT' })
  const { findings, until } = lists.judgeStranger(factsOf(ada))
  expect(findings).toMatchObject([{ code: 'UNABLE_TO_GET_CRL', at: 0 }])
  expect(until).toBe(Infinity)
})
