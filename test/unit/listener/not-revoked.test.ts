import { expect, test } from '@jest/globals'
import { type Shown, unverified } from '../../../src/listener/demand.ts'
import { notRevoked } from '../../../src/listener/not-revoked.ts'
import { Revocation } from '../../../src/tls-cert-utils/revocation.ts'
import { readRevocationLists } from '../../../src/tls-cert-utils/revocation-list.ts'
import { implicit, sequence } from '../../support/der.ts'
import { factsOf } from '../../support/facts.ts'
import { authority, extension, selfSigned } from '../../support/pki.ts'

const root = authority('root')
const [ada, eve] = [factsOf(root.client('ada')), root.client('eve')]
const verified = { certificate: ada, chain: [factsOf(root)], error: undefined }

/** The demand, and what it tells of lists that were missing where somebody is let in all the same. */
function demandOf(mode: 'STRICT' | 'IGNORE_CA_ERROR', ...lists: string[]) {
  const told: string[] = []
  const read = lists.flatMap((list) => readRevocationLists(list))
  const tell = ({ code }: { code: string }) => void told.push(code)
  const demand = notRevoked(new Revocation(read, { certificates: 'leaf', mode }), { onIgnored: tell })
  return { told, codeFor: (shown: Parameters<typeof demand>[0]) => demand(shown, Date.now()).failure?.code }
}

test('that a list is missing is told where its client is let in for that, not where something else refuses him', () => {
  const { told, codeFor } = demandOf('IGNORE_CA_ERROR')
  expect(codeFor(unverified(factsOf(selfSigned('mallory')), 'DEPTH_ZERO_SELF_SIGNED_CERT'))).toBeUndefined()
  expect(codeFor({ ...verified, error: 'INVALID_PURPOSE' })).toBeUndefined()
  expect(told).toEqual([])
  expect(codeFor(verified)).toBeUndefined()
  expect(told).toEqual(['UNABLE_TO_GET_CRL'])
})

test('lists are asked about a chain that was found, whatever else refuses it, and strangers are told that there is none', () => {
  const { codeFor } = demandOf('STRICT', root.crl([eve]))
  const unsuited = (certificate = ada) => ({ ...verified, certificate, error: 'INVALID_PURPOSE' })
  expect(codeFor(unsuited())).toBeUndefined()
  expect(codeFor(unsuited(factsOf(eve)))).toBe('CERT_REVOKED')
  expect(codeFor(unverified(ada, 'DEPTH_ZERO_SELF_SIGNED_CERT'))).toBe('UNABLE_TO_GET_CRL')
})

test('lists are fetched for the certificates that need one and were verified, and for no stranger', () => {
  const middle = root.authority('middle')
  const chain = [middle, root].map(factsOf)
  const leaf = factsOf(middle.client('leaf'))
  const preparedFor = (certificates: 'leaf' | 'chain', shown: Partial<Shown>) => {
    const asked: unknown[] = []
    const prepare = (path: unknown) => void asked.push(path)
    const revocation = new Revocation([], { certificates, mode: 'STRICT' })
    notRevoked(revocation, { onIgnored: () => {}, prepare: prepare as never }).prepare?.({ ...verified, ...shown })
    return asked
  }
  expect(preparedFor('leaf', { certificate: leaf, chain })).toEqual([[leaf, chain[0]]])
  expect(preparedFor('chain', { certificate: leaf, chain })).toEqual([[leaf, ...chain]])
  expect(preparedFor('chain', { certificate: leaf, chain, error: 'INVALID_PURPOSE' })).toEqual([[leaf, ...chain]])
  expect(preparedFor('chain', unverified(leaf, 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY'))).toEqual([])
})

test('a list that is there and does not cover the certificate is told from one that is missing', () => {
  const ofAuthorities = extension('2.5.29.28', sequence(implicit(2, Buffer.from([0xff]))), true)
  const lists = readRevocationLists(root.crl([], { extensions: [ofAuthorities] }))
  const shown = { ...verified, certificate: factsOf(root.client('leaf')), chain: [factsOf(root)] }
  const demand = notRevoked(new Revocation(lists, { certificates: 'leaf', mode: 'STRICT' }), { onIgnored: () => {} })
  expect(demand(shown, Date.now()).failure).toMatchObject({ hint: 'no list of CN=root covers it' })
})

test('whose list is missing is said where it is not the client’s own', () => {
  const middle = root.authority('middle')
  const shown = { ...verified, certificate: factsOf(middle.client('leaf')), chain: [middle, root].map(factsOf) }
  const hintFor = (certificates: 'leaf' | 'chain') =>
    notRevoked(new Revocation([], { certificates, mode: 'STRICT' }), { onIgnored: () => {} })(shown, Date.now()).failure
  expect(hintFor('leaf')).toMatchObject({ hint: 'no list of CN=middle' })
  expect(hintFor('chain')).toMatchObject({ hint: 'CN=root: no list of CN=root' })
})

test('whoever is trusted by a certificate of its own is judged by its own list', () => {
  const own = { ...verified, certificate: factsOf(root), chain: [] }
  expect(demandOf('STRICT', root.crl()).codeFor(own)).toBeUndefined()
})

test('a client is judged again when his list ends or begins, whether he was let in or not', () => {
  const untilBy = (...pems: string[]) => {
    const lists = pems.flatMap((pem) => readRevocationLists(pem))
    const revocation = new Revocation(lists, { certificates: 'leaf', mode: 'STRICT' })
    return { lists, until: notRevoked(revocation, { onIgnored: () => {} })(verified, Date.now()).until }
  }
  const current = untilBy(root.crl())
  expect(current.until).toBe(current.lists[0]?.nextUpdate)
  const future = untilBy(root.crl([], { thisUpdate: 1 }))
  expect(future.until).toBe(future.lists[0]?.thisUpdate)
})
