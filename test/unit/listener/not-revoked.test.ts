import { expect, test } from '@jest/globals'
import { unverified } from '../../../src/listener/demand.ts'
import { notRevoked } from '../../../src/listener/not-revoked.ts'
import { Revocation } from '../../../src/tls-cert-utils/revocation.ts'
import { readRevocationLists } from '../../../src/tls-cert-utils/revocation-list.ts'
import { factsOf } from '../../support/facts.ts'
import { authority, selfSigned } from '../../support/pki.ts'

const root = authority('root')
const [ada, eve] = [factsOf(root.client('ada')), root.client('eve')]
const verified = { certificate: ada, chain: [factsOf(root)], sent: [], error: undefined }

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
