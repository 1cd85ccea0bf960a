import { validateHeaderName } from 'node:http'
import { describe, expect, test } from '@jest/globals'
import { IDENTITY_PRESETS } from '../../../src/config/schema/identity-headers.ts'
import { createRequestHeaderFilter, createResponseHeaderFilter } from '../../../src/identity/headers.ts'
import { createIdentityHeaders, sameNames } from '../../../src/identity/identity-headers.ts'
import { headersOf, PRESETS, type PresetName } from '../../../src/identity/presets.ts'
import { readCertificate } from '../../../src/tls-cert-utils/certificate.ts'
import type { Connection } from '../../../src/types.ts'
import { fakeConnection } from '../../support/fake-connection.ts'
import { nameOf } from '../../support/names.ts'
import { authority, type Issued } from '../../support/pki.ts'

const NAMES = Object.keys(PRESETS) as PresetName[]
/** What does not depend on a certificate, where nobody is known. */
const SAID_TO_ALL: Partial<Record<PresetName, [string, string][]>> = {
  haproxy: [['X-SSL', '1']],
  keystone: [['X-Identity-Status', 'Invalid']],
}
const root = authority('root')
const between = root.authority('between')
const ada = between.client('ada', {
  subject: nameOf(['C', 'DE'], ['O', 'Foo'], ['CN', 'ada']),
  serial: Buffer.from([0x0a, 0xbc]),
  uris: ['spiffe://td/ada'],
  hosts: ['ada.test'],
  emails: ['ada@td.test'],
})
const facts = ({ der }: Issued) => readCertificate(der)

function shown(certificate: Issued, facts_: Partial<Connection> = {}): Connection {
  return fakeConnection({
    certificate: facts(certificate),
    chain: [facts(between)],
    verification: { result: 'SUCCESS' },
    ...facts_,
  })
}

function written(preset: PresetName, connection: Connection): Record<string, string> {
  const flat = createIdentityHeaders({ presets: [preset], details: ['uri', 'dns', 'subject'] }).for(connection).list
  return Object.fromEntries(Array.from({ length: flat.length / 2 }, (_, i) => [flat[2 * i], flat[2 * i + 1]]))
}

test('the presets of the configuration are those that can be written', () => {
  expect(Object.keys(IDENTITY_PRESETS)).toEqual(NAMES)
})

describe.each(NAMES)('%s', (preset) => {
  const spellings = headersOf(preset).flatMap((name) => [
    ...[name, name.toLowerCase(), name.toUpperCase(), name.replaceAll('_', '-')],
    ...[name.replaceAll('-', '_'), name.replaceAll(/[-_]/g, '.')],
  ])
  const everywhere = createRequestHeaderFilter({ ownedNames: [], underscores: true })
  const answers = createResponseHeaderFilter({ ownedNames: [], via: false })

  test.each(spellings)('%s from a client is dropped, whether the preset is configured or not', (name) => {
    const out: string[] = []
    everywhere.append([name, 'forged', 'A', 'b', name, 'again'], undefined, out)
    expect(out).toEqual(['A', 'b'])
  })

  test.each(spellings)('%s is never in an answer, nor in its trailers', (name) => {
    expect(answers.forward([name, 'x'], 'id')).toEqual(['X-Request-ID', 'id'])
    expect(answers.trailers([name, 'x'])).toEqual([])
  })

  test('its names are header names that backends can tell apart', () => {
    for (const name of headersOf(preset)) validateHeaderName(name)
    expect(sameNames(headersOf(preset).map((name) => ['preset', name] as const))).toEqual([])
  })

  test('says nothing about a certificate where there is none', () => {
    const told = Object.entries(written(preset, fakeConnection())).filter(([, value]) => value !== 'NONE')
    expect(told).toEqual(SAID_TO_ALL[preset] ?? [])
  })

  test('a certificate that did not pass is told only beside its verdict', () => {
    const verification = { result: 'FAILED', code: 'DEPTH_ZERO_SELF_SIGNED_CERT', reason: 'self-signed' } as const
    const told = written(preset, shown(ada, { verification, chain: [] }))
    const verdict = Object.entries(told).filter(([name, value]) => /verify/i.test(name) && /^(FAILED:|18$)/.test(value))
    expect(verdict.length).toBe(Object.keys(told).length > (SAID_TO_ALL[preset]?.length ?? 0) ? 1 : 0)
  })
})

test('each dialect as its own gateway writes it', () => {
  const { x509 } = ada
  const sha1 = x509.fingerprint.replaceAll(':', '')
  const sha256 = x509.fingerprint256.replaceAll(':', '').toLowerCase()
  const escaped = encodeURIComponent(ada.certificate)
  const base64 = ada.der.toString('base64')
  const dn = 'CN=ada,O=Foo,C=DE'
  const [from, to] = [x509.validFromDate, x509.validToDate].map((date) => date.toISOString().slice(0, 19))
  const digits = (iso = '') => `${iso.replaceAll(/[-:T]/g, '').slice(2)}Z`
  const connection = shown(ada)
  expect(written('nginx', connection)).toEqual({
    'X-SSL-Client-Verify': 'SUCCESS',
    'X-SSL-Client-S-DN': dn,
    'X-SSL-Client-I-DN': 'CN=between',
    'X-SSL-Client-V-Start': connection.certificate?.notBeforeText,
    'X-SSL-Client-V-End': connection.certificate?.notAfterText,
    'X-SSL-Client-Serial': '0ABC',
    'X-SSL-Client-Fingerprint': sha1.toLowerCase(),
    'X-SSL-Client-Escaped-Cert': escaped,
  })
  expect(written('ingress-nginx', connection)).toEqual({
    'ssl-client-verify': 'SUCCESS',
    'ssl-client-subject-dn': dn,
    'ssl-client-issuer-dn': 'CN=between',
    'ssl-client-cert': escaped,
  })
  expect(written('kong', connection)).toEqual({
    'X-Client-Cert': escaped,
    'X-Client-Cert-Serial': '0ABC',
    'X-Client-Cert-Issuer-DN': 'CN=between',
    'X-Client-Cert-Subject-DN': dn,
    'X-Client-Cert-Fingerprint': sha1.toLowerCase(),
  })
  expect(written('haproxy', connection)).toEqual({
    'X-SSL': '1',
    'X-SSL-Client-Verify': '0',
    'X-SSL-Client-SHA1': sha1,
    'X-SSL-Client-DN': '/C=DE/O=Foo/CN=ada',
    'X-SSL-Client-CN': 'ada',
    'X-SSL-Issuer': '/CN=between',
    'X-SSL-Client-NotBefore': digits(from),
    'X-SSL-Client-NotAfter': digits(to),
    'X-SSL-Client-Cert': base64,
  })
  expect(written('apache', connection)).toMatchObject({
    SSL_CLIENT_VERIFY: 'SUCCESS',
    SSL_CLIENT_M_SERIAL: '0ABC',
    SSL_CLIENT_S_DN_CN: 'ada',
    SSL_CLIENT_CERT: ada.certificate.trim().replaceAll('\n', ' '),
    SSL_CLIENT_CERT_CHAIN_0: between.certificate.trim().replaceAll('\n', ' '),
  })
  expect(written('aws-alb', connection)).toMatchObject({
    'X-Amzn-Mtls-Clientcert-Serial-Number': '0ABC',
    'X-Amzn-Mtls-Clientcert-Subject': dn,
    'X-Amzn-Mtls-Clientcert-Validity': `NotBefore=${from}Z;NotAfter=${to}Z`,
    'X-Amzn-Mtls-Clientcert-Leaf': ada.certificate.replaceAll(' ', '%20').replaceAll('\n', '%0A'),
  })
  expect(written('envoy', connection)).toEqual({
    'X-Forwarded-Client-Cert': `Hash=${sha256};Subject="${dn}";URI=spiffe://td/ada;DNS=ada.test`,
  })
  expect(written('rfc9440', connection)).toEqual({
    'Client-Cert': `:${base64}:`,
    'Client-Cert-Chain': `:${between.der.toString('base64')}:`,
  })
  expect(written('x5t#S256', connection)).toEqual({
    'X-Client-Cert-X5t-S256': Buffer.from(sha256, 'hex').toString('base64url'),
  })
})

describe('traefik', () => {
  const info = (certificate: Issued) =>
    decodeURIComponent(
      (written('traefik', shown(certificate, { chain: [] }))['X-Forwarded-Tls-Client-Cert-Info'] ?? '').replaceAll(
        '+',
        ' ',
      ),
    )

  test('the certificates, the client’s own first, and what stands in them', () => {
    const { 'X-Forwarded-Tls-Client-Cert': certificates = '' } = written('traefik', shown(ada))
    expect(certificates.split(',')).toEqual([ada, between].map(({ der }) => der.toString('base64')))
    const seconds = (date: Date) => Math.floor(date.getTime() / 1000)
    const { validFromDate, validToDate } = ada.x509
    expect(info(ada)).toBe(
      `Subject="C=DE,O=Foo,CN=ada";Issuer="CN=between";SerialNumber="2748";NB="${seconds(validFromDate)}";` +
        `NA="${seconds(validToDate)}";SAN="ada.test,ada@td.test,spiffe://td/ada"`,
    )
  })

  test('attributes in Traefik’s order: of several names the last alone, of an issuer no units, and nothing that is empty', () => {
    const by = root.authority('by', { subject: nameOf(['CN', 'by'], ['OU', 'Keys'], ['O', 'Foo'], ['DC', 'test']) })
    const first = [
      ['CN', 'first'],
      ['serialNumber', '1'],
      ['OU', 'a'],
      ['OU', 'b'],
      ['O', ''],
      ['L', 'Bonn'],
    ] as const
    const then = [
      ['ST', 'NW'],
      ['C', 'DE'],
      ['serialNumber', '2'],
      ['DC', 'td'],
      ['DC', 'test'],
      ['CN', 'last'],
    ] as const
    const many = by.client('x', { subject: nameOf(...first, ...then) })
    expect(info(many)).toContain(
      'Subject="DC=td,DC=test,C=DE,ST=NW,L=Bonn,OU=a,OU=b,SN=2,CN=last";Issuer="DC=test,O=Foo,CN=by";',
    )
  })

  test('is escaped as Go’s url.QueryEscape does', () => {
    const starred = root.client('x', { subject: nameOf(['CN', "a b(c)!*'~"]) })
    const { 'X-Forwarded-Tls-Client-Cert-Info': value = '' } = written('traefik', shown(starred, { chain: [] }))
    expect(value).toMatch(/^Subject%3D%22CN%3Da\+b%28c%29%21%2A%27~%22%3B/)
  })

  test('no value can pass for another attribute or certificate', () => {
    const evil = root.client('x', {
      subject: nameOf(['O', 'Foo,CN=admin";Issuer="CN=root",Subject="CN=admin'], ['CN', 'mallory%2C']),
      uris: ['spiffe://td/a,spiffe://td/admin'],
    })
    const [first = ''] = info(evil).split('";')
    expect(first.split('="')[1]?.split(',')).toEqual([
      'O=Foo%2CCN=admin%22%3BIssuer=%22CN=root%22%2CSubject=%22CN=admin',
      'CN=mallory%252C',
    ])
    expect(info(evil)).toContain('SAN="spiffe://td/a%2Cspiffe://td/admin"')
  })
})
