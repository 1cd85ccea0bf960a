/** Each certificate below against each list of users, in the real nats-server and in ours: the same verdict, by the same rule. */
import { expect, test } from '@jest/globals'
import { createNatsMapper } from '../../src/identity/mapping/nats.ts'
import { createUsers } from '../../src/identity/users.ts'
import { factsOf } from '../support/facts.ts'
import { fakeConnection } from '../support/fake-connection.ts'
import { nameOf } from '../support/names.ts'
import { type NatsServer, startNats } from '../support/nats.ts'
import { describeWith } from '../support/peers.ts'
import { authority, type CertificateOptions, type Issued } from '../support/pki.ts'

const clients = authority('clients')

// Left out on purpose, as this old server (2.9.10) differs from the ones that we follow: a user who repeats an RDN (CVE-2026-33248), an
// empty subject with DNS names alone, and a value with "=" in it, which its parser takes for the end of a type.
const CERTIFICATES: Readonly<Record<string, CertificateOptions>> = {
  'a whole subject with domain components': {
    subject: nameOf(
      ...([
        ['C', 'US'],
        ['ST', 'CA'],
        ['L', 'Los Angeles'],
        ['O', 'NATS'],
        ['OU', 'NATS'],
        ['CN', 'localhost'],
        ['DC', 'foo1'],
        ['DC', 'foo2'],
      ] as const),
    ),
    hosts: ['localhost', 'example.com'],
  },
  'the same with other domain components': {
    subject: nameOf(
      ...([
        ['C', 'US'],
        ['ST', 'CA'],
        ['L', 'Los Angeles'],
        ['O', 'NATS'],
        ['OU', 'NATS'],
        ['CN', 'localhost'],
        ['DC', 'foo3'],
        ['DC', 'foo4'],
      ] as const),
    ),
  },
  'the same without': {
    subject: nameOf(
      ['C', 'US'],
      ['ST', 'CA'],
      ['L', 'Los Angeles'],
      ['O', 'NATS'],
      ['OU', 'NATS'],
      ['CN', 'localhost'],
    ),
  },
  'an RDN of two attributes': {
    subject: nameOf(
      ['DC', 'org'],
      ['DC', 'OpenSSL'],
      [
        ['O', 'users'],
        ['DC', 'DEV'],
      ],
      ['CN', 'John Doe'],
    ),
  },
  'several common names and units': {
    subject: nameOf(
      ['DC', 'com'],
      ['DC', 'acme'],
      ['OU', 'Organic Units'],
      ['OU', 'Users'],
      ['CN', 'jdoe'],
      ['CN', '123456'],
      ['CN', 'John Doe'],
    ),
  },
  'an address in the subject': {
    subject: nameOf(['C', 'US'], ['O', 'Acme'], ['CN', 'bob'], ['emailAddress', 'bob@example.com']),
  },
  'a user identifier': {
    subject: nameOf(['DC', 'com'], ['DC', 'acme'], ['OU', 'People'], ['CN', 'Jim Smith'], ['UID', 'jsmith']),
  },
  'letters that are not ASCII': { subject: nameOf(['C', 'HR'], ['O', 'Tvrtka'], ['CN', 'Lučić Hö']) },
  'characters that are escaped': { subject: nameOf(['O', 'Acme, Inc. <x>;q\\b'], ['OU', 'A+B']) },
  'spaces and a number sign in front': { subject: nameOf(['O', ' Lead '], ['CN', '#hash']) },
  'a street and a postal code': {
    subject: nameOf(
      ['C', 'US'],
      ['ST', 'CA'],
      ['L', 'LA'],
      ['street', '1 Main St'],
      ['postalCode', '90001'],
      ['O', 'Acme'],
      ['CN', 'dev'],
      ['serialNumber', '42'],
    ),
  },
  'two addresses': {
    subject: nameOf(['CN', 'mail']),
    emails: ['nobody@example.com', 'root@app.nats.dev'],
    hosts: ['app.nats.dev'],
  },
  'DNS names': {
    subject: nameOf(['CN', 'www.nats.io']),
    hosts: ['unrelated.example', 'app.nats.prod', '*.app.nats.prod'],
  },
  'a URI': { subject: nameOf(['C', 'US'], ['O', 'SPIRE']), uris: ['SPIFFE://localhost/my-nats-service/user-a'] },
  'a DNS name that looks like a subject': { subject: nameOf(['CN', 'plain']), hosts: ['CN=admin,O=Acme'] },
  'an address beside a subject that is a user': {
    subject: nameOf(['CN', 'example.com'], ['OU', 'NATS.io']),
    emails: ['derek@nats.io'],
  },
  'more than the user': { subject: nameOf(['CN', 'admin'], ['UID', 'x']) },
}

const USERS: Readonly<Record<string, readonly string[]>> = {
  'whole names': [
    'CN=localhost,OU=NATS,O=NATS,L=Los Angeles,ST=CA,C=US,DC=foo1,DC=foo2',
    'CN=localhost,OU=NATS,O=NATS,L=Los Angeles,ST=CA,C=US',
    'CN=John Doe,DC=DEV+O=users,DC=OpenSSL,DC=org',
    'CN=bob,O=Acme,C=US',
    'CN=Jim Smith,OU=People,DC=com,DC=acme',
    'CN=Lučić Hö,O=Tvrtka,C=HR',
    'SERIALNUMBER=42,CN=dev,O=Acme,POSTALCODE=90001,STREET=1 Main St,L=LA,ST=CA,C=US',
  ],
  'other orders and spellings': [
    'dc=foo2, dc=foo1, cn=localhost, ou=NATS, o=NATS, l=Los Angeles, st=CA, c=US',
    'DC=org,DC=OpenSSL,O=users+DC=DEV,CN=John Doe',
    'DC=com,DC=acme,OU=Organic Units,OU=Users,CN=jdoe,CN=123456,CN=John Doe',
    'CN=Lu\\C4\\8Di\\C4\\87 H\\C3\\B6,C=HR,O=Tvrtka',
    'O=Acme\\, Inc. \\<x\\>\\;q\\\\b,OU=A\\+B',
    'CN=\\#hash,O=\\ Lead\\ ',
  ],
  'what Go prints': [
    'CN=John Doe,OU=Organic Units+OU=Users',
    'CN=John Doe,O=users',
    'CN=Jim Smith,OU=People',
    'CN=bob,O=Acme,C=US',
    'CN=admin',
    'OU=A\\+B,O=Acme\\, Inc. \\<x\\>\\;q\\\\b',
  ],
  'alternative names': [
    'root@app.nats.dev',
    'app.nats.prod',
    'app.nats.dev',
    'spiffe://localhost/my-nats-service/user-a',
    'derek@nats.io',
    'CN=example.com,OU=NATS.io',
    'CN=admin,O=Acme',
    'localhost',
  ],
  'what never matches': [
    'localhost.',
    'emailAddress=bob@example.com,CN=bob,O=Acme,C=US',
    'bob@example.com',
    'cn=mail',
    'CN=JOHN DOE,O=users',
    'SPIFFE://localhost/my-nats-service/user-a',
    'O=SPIRE,C=US',
    'CN=*',
    '*.nats.prod',
  ],
}

describeWith(['nats-server'], 'nats-server finds the same user, by the same rule', () => {
  const issued = Object.entries(CERTIFICATES).map(([name, options]) => [name, clients.client('x', options)] as const)

  test.each(Object.keys(USERS))('%s', async (list) => {
    const users = USERS[list] as readonly string[]
    const server = await startNats({ clients, server: authority('servers').server('localhost'), users })
    const theirs = await verdicts(server, issued)
    expect(ours(users, issued)).toEqual(theirs)
    // That every pair were refused would prove nothing.
    expect(Object.values(theirs).some((verdict) => verdict !== 'refused')).toBe(true)
  })

  test('there are at least 60 pairs', () => {
    expect(Object.keys(USERS).length * issued.length).toBeGreaterThanOrEqual(60)
  })
})

type Verdicts = Record<string, string>

async function verdicts(server: NatsServer, issued: readonly (readonly [string, Issued])[]): Promise<Verdicts> {
  const all: Verdicts = {}
  for (const [name, certificate] of issued) {
    const { accepted, rule, user } = await server.connect(certificate)
    all[name] = accepted ? `${rule}: ${user}` : 'refused'
  }
  return all
}

function ours(users: readonly string[], issued: readonly (readonly [string, Issued])[]): Verdicts {
  const rules = users.map((user, i) => ({ at: `users[${i}]`, user }))
  const mapper = createNatsMapper({ rules, users: createUsers([]) })
  return Object.fromEntries(
    issued.map(([name, certificate]) => {
      const mapping = mapper.map(factsOf(certificate), fakeConnection())
      if (mapping instanceof Promise) throw new Error('a mapper of rules waits for nothing')
      return [
        name,
        mapping.status === 'mapped' ? `${mapping.reason.replace(/ \(.*\)$/, '')}: ${mapping.user.name}` : 'refused',
      ]
    }),
  )
}
