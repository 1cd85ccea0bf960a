import { describe, expect, test } from '@jest/globals'
import { readCertificates } from '../../../src/tls-cert-utils/certificates.ts'
import type { RevocationReport } from '../../../src/tls-cert-utils/revocation.ts'
import { UpstreamRevocation } from '../../../src/upstream/revocation.ts'
import { authority } from '../../support/pki.ts'

const root = authority('root')
const chain = readCertificates(root.server('localhost').certificate + root.certificate)

function revocationThat(report: Partial<RevocationReport>) {
  const told: string[] = []
  const judge = () => ({ findings: [], ignored: [], until: Number.POSITIVE_INFINITY, ...report })
  const tell = ({ code }: { code: string }) => told.push(code)
  return { told, revocation: new UpstreamRevocation({ judge }, { identity: '', trusted: [], onIgnored: tell }) }
}

describe('an upstream', () => {
  test('whose chain is not known is refused, whatever the lists say', () => {
    const { revocation } = revocationThat({})
    expect(revocation.refusalOf(undefined)).toMatchObject({ code: 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY' })
  })

  test('of whom nothing is found is asked', () => {
    const { revocation, told } = revocationThat({})
    expect(revocation.refusalOf(chain)).toBeUndefined()
    expect(told).toEqual([])
  })

  test('is refused for the last finding, as OpenSSL reports it, and the authority is named', () => {
    const ignored = [{ code: 'CRL_HAS_EXPIRED', at: 0 }]
    const findings = [
      { code: 'CRL_HAS_EXPIRED', at: 0 },
      { code: 'CERT_REVOKED', at: 1 },
    ]
    const { revocation, told } = revocationThat({ findings, ignored })
    expect(revocation.refusalOf(chain)).toMatchObject({
      code: 'CERT_REVOKED',
      message: 'certificate revoked (CN=root)',
    })
    expect(told).toEqual([])
  })

  test('is asked in spite of what is ignored, and that is told', () => {
    const { revocation, told } = revocationThat({ ignored: [{ code: 'UNABLE_TO_GET_CRL', at: 0 }] })
    expect(revocation.refusalOf(chain)).toBeUndefined()
    expect(told).toEqual(['UNABLE_TO_GET_CRL'])
  })
})
