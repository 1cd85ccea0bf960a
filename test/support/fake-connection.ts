import { ConnectionNotes, connectionOf } from '../../src/connection-notes.ts'
import type { CertificateFacts } from '../../src/tls-cert-utils/certificate.ts'
import type { Connection } from '../../src/types.ts'

/** A connection without certificate, as a listener would have made it; frozen as those are. */
export function fakeConnection(facts: Partial<Connection> = {}): Connection {
  return connectionOf({
    id: '0123456789abcdef',
    policy: 'policy',
    serverName: 'api.test',
    remoteAddress: '192.0.2.1',
    remotePort: 40_000,
    localPort: 8443,
    protocol: 'TLSv1.3',
    cipher: 'TLS_AES_256_GCM_SHA384',
    resumed: false,
    verification: { result: 'NONE' } as const,
    certificate: undefined,
    chain: [],
    expiresAt: Number.POSITIVE_INFINITY,
    ...facts,
  })
}

/** The facts of a certificate that no CA needs to have signed. */
export function fakeCertificate(facts: Partial<CertificateFacts> = {}): CertificateFacts {
  const certificate: Partial<CertificateFacts> = {
    subject: 'CN=ada,O=Foo\\, Inc',
    issuer: 'CN=root',
    subjectOneline: '/O=Foo, Inc/CN=ada',
    issuerOneline: '/CN=root',
    serial: '00AB',
    fingerprintSha1: 'a'.repeat(40),
    fingerprintSha256: 'b'.repeat(64),
    notBeforeText: 'Feb  3 00:55:52 2015 GMT',
    notAfterText: 'Feb  3 00:55:52 2035 GMT',
    pem: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n',
    escapedPem: '-----BEGIN%20CERTIFICATE-----%0AAAAA%0A-----END%20CERTIFICATE-----%0A',
    rfc9440: ':AAAA:',
    alternativeNames: [],
    subjectAttributes: [[{ oid: '2.5.4.3', shortName: 'CN', value: 'ada', isText: true, raw: Buffer.alloc(0) }]],
    publicKeySha256: 'c2hh',
  }
  return { ...certificate, ...facts } as CertificateFacts
}

/** Whether what is made of the connection for one request is found by its next one. */
export function keepsNotes(connection: Connection): boolean {
  const notes = new ConnectionNotes<true>()
  notes.set(connection, true)
  return notes.get(connection) === true
}
