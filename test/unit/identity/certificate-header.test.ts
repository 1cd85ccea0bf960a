import { describe, expect, test } from '@jest/globals'
import { type CertificateHeaderFormat, createCertificateHeader } from '../../../src/identity/certificate-header.ts'
import { authority } from '../../support/pki.ts'
import fc from '../../support/random.ts'

const root = authority('root')
const between = root.authority('between')
const ada = between.client('ada')
const eve = root.client('eve')

const escaped = (pem: string) => encodeURIComponent(pem)
const amazon = (pem: string) =>
  encodeURIComponent(pem).replaceAll('%2B', '+').replaceAll('%2F', '/').replaceAll('%3D', '=')
const base64 = (der: Buffer) => der.toString('base64')
/** As mod_headers does. */
const oneLine = (pem: string) => pem.replaceAll('\n', ' ')
const item = (der: Buffer) => `:${base64(der)}:`
const sha256 = ada.x509.fingerprint256.replaceAll(':', '')

function read(format: CertificateHeaderFormat, rawHeaders: readonly string[], name = 'X-Cert'): string[] | undefined {
  const header = createCertificateHeader(format, name)
  const values = header.valuesIn(rawHeaders)
  return values && header.read(values).map(({ subject }) => subject)
}

describe('reads what load balancers write', () => {
  test.each<[string, CertificateHeaderFormat, string[]]>([
    ['nginx’s escaped PEM', 'url_encoded', ['X-Cert', escaped(ada.certificate)]],
    ['a chain of it', 'url_encoded', ['X-Cert', escaped(ada.chain)]],
    ['AWS’s, with safe characters', 'url_encoded', ['X-Cert', amazon(ada.chain)]],
    ['Traefik’s base64', 'base64_encoded', ['X-Cert', `${base64(ada.der)},${base64(between.der)}`]],
    ['Cloudflare’s base64', 'base64_encoded', ['X-Cert', base64(ada.der)]],
    ['Apache’s PEM on one line', 'pem', ['X-Cert', oneLine(ada.certificate)]],
    ['a chain of it', 'pem', ['X-Cert', `${oneLine(ada.certificate)} ${oneLine(between.certificate)} (null)`]],
    ['RFC 9440', 'rfc9440', ['Client-Cert', item(ada.der)]],
    [
      'with a chain',
      'rfc9440',
      ['client-cert', item(ada.der), 'CLIENT-CERT-CHAIN', `${item(between.der)}, ${item(root.der)}`],
    ],
    ['XFCC with Cert', 'xfcc', ['X-Cert', `By=spiffe://td/lb;Hash=${sha256};Cert="${escaped(ada.certificate)}"`]],
    [
      'XFCC with Cert and Chain',
      'xfcc',
      ['X-Cert', `Cert="${escaped(ada.certificate)}";Chain="${escaped(ada.chain)}"`],
    ],
    ['XFCC with Chain', 'xfcc', ['X-Cert', `Chain="${escaped(ada.chain)}";Subject="CN=ada"`]],
  ])('%s', (_what, format, rawHeaders) => {
    const subjects = read(format, rawHeaders)
    expect(['CN=ada', 'CN=between', 'CN=root']).toEqual(expect.arrayContaining(subjects ?? ['nothing']))
    expect(subjects?.[0]).toBe('CN=ada')
  })

  test.each<[CertificateHeaderFormat, string[]]>([
    ['url_encoded', []],
    ['url_encoded', ['X-Cert', '']],
    ['pem', ['X-Cert', '(null)']],
    ['pem', ['X-Cert', '(null) (null)']],
    ['rfc9440', ['X-Cert', 'x']],
    ['xfcc', ['X-Certificate', 'x']],
  ])('no certificate where the header is not there, or empty: %s %j', (format, rawHeaders) => {
    expect(read(format, rawHeaders)).toBeUndefined()
  })
})

describe('refuses with 400', () => {
  const other = escaped(eve.certificate)
  test.each<[string, CertificateHeaderFormat, string[]]>([
    ['two copies', 'url_encoded', ['X-Cert', escaped(ada.certificate), 'X-Cert', escaped(ada.certificate)]],
    ['two copies in different spellings', 'url_encoded', ['X-Cert', escaped(ada.certificate), 'x_cert', other]],
    ['one in another spelling, which no load balancer removes', 'url_encoded', ['X_Cert', escaped(ada.certificate)]],
    ['a second one that is empty', 'base64_encoded', ['X-Cert', base64(ada.der), 'X.Cert', '']],
    [
      'two chains',
      'rfc9440',
      ['Client-Cert', item(ada.der), 'Client-Cert-Chain', item(between.der), 'client-cert-chain', item(root.der)],
    ],
    ['a chain without a certificate', 'rfc9440', ['Client-Cert-Chain', item(between.der)]],
    ['a list of certificates', 'rfc9440', ['Client-Cert', `${item(ada.der)}, ${item(eve.der)}`]],
    ['parameters', 'rfc9440', ['Client-Cert', `${item(ada.der)};a=1`]],
    ['base64 without colons', 'rfc9440', ['Client-Cert', base64(ada.der)]],
    ['base64url', 'base64_encoded', ['X-Cert', ada.der.toString('base64url')]],
    ['base64 with a blank in it', 'base64_encoded', ['X-Cert', base64(ada.der).replace(/^(.{9})/, '$1 ')]],
    ['an empty item', 'base64_encoded', ['X-Cert', `${base64(ada.der)},`]],
    ['PEM that is not escaped', 'url_encoded', ['X-Cert', ada.certificate.replaceAll('\n', ' ')]],
    ['nothing of Apache’s, in a dialect of others', 'base64_encoded', ['X-Cert', '(null)']],
    ['PEM on one line with a key', 'pem', ['X-Cert', oneLine(ada.certificate + ada.key)]],
    ['half a PEM', 'pem', ['X-Cert', oneLine(ada.certificate).slice(0, 200)]],
    ['two copies of it', 'pem', ['X-Cert', oneLine(ada.certificate), 'X_Cert', '(null)']],
    ['text around it', 'pem', ['X-Cert', `${oneLine(ada.certificate)},x`]],
    ['base64 that is none', 'pem', ['X-Cert', oneLine(ada.certificate).replace('MII', 'M=I')]],
    ['half an escape', 'url_encoded', ['X-Cert', `${escaped(ada.certificate)}%0`]],
    ['no UTF-8', 'url_encoded', ['X-Cert', '%FF%FE']],
    ['text around the PEM', 'url_encoded', ['X-Cert', `x${escaped(ada.certificate)}`]],
    ['a private key beside it', 'url_encoded', ['X-Cert', escaped(ada.certificate + ada.key)]],
    ['a list', 'url_encoded', ['X-Cert', escaped(root.crl())]],
    ['bytes behind the certificate', 'base64_encoded', ['X-Cert', base64(Buffer.concat([ada.der, Buffer.alloc(3)]))]],
    ['half a certificate', 'base64_encoded', ['X-Cert', base64(ada.der.subarray(0, 300))]],
    ['what is no certificate', 'base64_encoded', ['X-Cert', base64(Buffer.from([0x30, 3, 2, 1, 1]))]],
    ['more certificates than any chain has', 'base64_encoded', ['X-Cert', Array(11).fill(base64(ada.der)).join(',')]],
    ['two elements', 'xfcc', ['X-Cert', `Cert="${escaped(ada.certificate)}",Cert="${other}"`]],
    ['two Certs', 'xfcc', ['X-Cert', `Cert="${escaped(ada.certificate)}";cert="${other}"`]],
    ['a Cert that is a chain', 'xfcc', ['X-Cert', `Cert="${escaped(ada.chain)}"`]],
    ['a Chain of somebody else', 'xfcc', ['X-Cert', `Cert="${escaped(ada.certificate)}";Chain="${other}"`]],
    ['another Hash', 'xfcc', ['X-Cert', `Hash=${'0'.repeat(64)};Cert="${escaped(ada.certificate)}"`]],
    ['names without a certificate', 'xfcc', ['X-Cert', `Hash=${sha256};Subject="CN=ada"`]],
    ['an open quote', 'xfcc', ['X-Cert', `Cert="${escaped(ada.certificate)}`]],
  ])('%s', (_what, format, rawHeaders) => {
    expect(() => read(format, rawHeaders)).toThrow(expect.objectContaining({ code: 'GW_BAD_REQUEST' }))
  })

  test('anything else, and never with an error that nobody foresaw', () => {
    const written: Readonly<Record<CertificateHeaderFormat, string>> = {
      url_encoded: escaped(ada.certificate),
      base64_encoded: base64(ada.der),
      pem: oneLine(ada.certificate),
      rfc9440: item(ada.der),
      xfcc: `Cert="${escaped(ada.certificate)}"`,
    }
    const texts = Object.entries(written) as [CertificateHeaderFormat, string][]
    const marks = fc.constantFrom('%0A', '"', ',', ';', '=', 'Cert=', ':', '%', '\\', 'A', ' ')
    const piece = fc.oneof(
      fc.constantFrom(...texts).map(([, text]) => text),
      marks,
      fc.string(),
    )
    const pieces = fc.array(piece, { maxLength: 2 }).map((parts) => parts.join(''))
    let taken = 0
    fc.assert(
      fc.property(fc.constantFrom(...texts), pieces, pieces, ([format, text], before, after) => {
        const value = before + text + after
        try {
          expect(read(format, ['X-Cert', value, 'Client-Cert', value])?.[0]).toBe('CN=ada')
          taken += 1
        } catch (error) {
          expect(error).toMatchObject({ code: 'GW_BAD_REQUEST' })
        }
      }),
      { numRuns: 500 },
    )
    // Whoever refuses everything would pass too.
    expect(taken).toBeGreaterThan(20)
  })
})
