/**
 * Each certificate below against each list of users, in the real nats-server and in a gateway: the same verdict, and by the same rule, as the logs of
 * both have it.
 */
import { beforeAll, expect, test } from '@jest/globals'
import type { Gateway } from '../support/gateway.ts'
import { nameOf } from '../support/names.ts'
import { type NatsServer, startNats } from '../support/nats.ts'
import { describeWith } from '../support/peers.ts'
import type { CertificateOptions, Issued } from '../support/pki.ts'
import { makeScene, type Scene } from '../support/scene.ts'

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

type Issuees = readonly (readonly [name: string, certificate: Issued])[]
/** What became of each certificate: the rule and the user, or that it was refused. */
type Verdicts = Record<string, string>

const LISTS = Object.keys(USERS)

describeWith(['nats-server'], 'nats-server finds the same user, by the same rule', () => {
  let scene: Scene
  let gateway: Gateway
  let issued: Issuees

  beforeAll(async () => {
    scene = await makeScene()
    issued = Object.entries(CERTIFICATES).map(([name, options]) => [name, scene.clients.client('x', options)] as const)
    const servers = LISTS.map((list) =>
      scene.server({
        server_names: [hostOf(list)],
        ssl_verify_client: 'on',
        verify_and_map: true,
        mapping: 'nats',
        authorization: { users: USERS[list]?.map((user) => ({ user })) },
      }),
    )
    gateway = await scene.start({ log: { level: 'debug' }, listeners: [{ listen: '127.0.0.1:0', servers }] })
  })

  test.each(LISTS)('%s', async (list) => {
    const users = USERS[list] as readonly string[]
    const server = await startNats({ clients: scene.clients, server: scene.front, users })
    const theirs = await verdicts(server, issued)
    expect(await ours(gateway, hostOf(list), issued)).toEqual(theirs)
    // That every pair were refused would prove nothing.
    expect(Object.values(theirs).some((verdict) => verdict !== 'refused')).toBe(true)
  })

  test('there are at least 60 pairs', () => {
    expect(LISTS.length * issued.length).toBeGreaterThanOrEqual(60)
  })
})

function hostOf(list: string): string {
  return `list-${LISTS.indexOf(list)}.test`
}

async function verdicts(server: NatsServer, issued: Issuees): Promise<Verdicts> {
  const all: Verdicts = {}
  for (const [name, certificate] of issued) {
    const { accepted, rule, user } = await server.connect(certificate)
    all[name] = accepted ? `${rule}: ${user}` : 'refused'
  }
  return all
}

async function ours(gateway: Gateway, host: string, issued: Issuees): Promise<Verdicts> {
  const all: Verdicts = {}
  for (const [name, as] of issued) {
    const answer = await gateway.get('/', { as, host })
    const { code, user, connection_id } = await gateway.line(answer)
    const found = { msg: 'user found by certificate', connection_id }
    if (answer.status === 200)
      all[name] = `${`${(await gateway.logged(found)).reason}`.replace(/ \(.*\)$/, '')}: ${user}`
    else all[name] = answer.status === 401 && code === 'GW_UNAUTHENTICATED' ? 'refused' : `${answer.status} ${code}`
  }
  return all
}
