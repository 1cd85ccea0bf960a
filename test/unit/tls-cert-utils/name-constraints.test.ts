// Nobody may be let in whom OpenSSL would refuse for his names: constraints and names of every make are judged by both.
import { describe, expect, jest, test } from '@jest/globals'
import { readCertificate } from '../../../src/tls-cert-utils/certificate.ts'
import { nameViolations } from '../../../src/tls-cert-utils/name-constraints.ts'
import { run } from '../../support/children.ts'
import {
  explicit,
  ia5String,
  implicit,
  objectIdentifier,
  rawInteger,
  sequence,
  tlv,
  utf8String,
} from '../../support/der.ts'
import { temporaryFile } from '../../support/folder.ts'
import { nameOf } from '../../support/names.ts'
import { type Authority, authority, extension, type Issued } from '../../support/pki.ts'
import fc from '../../support/random.ts'

const text = (tag: number) => (value: string) => implicit(tag, Buffer.from(value, 'latin1'))
const [email, dns, uri] = [text(1), text(2), text(6)]
const ip = (...bytes: number[]) => implicit(7, Buffer.from(bytes))
const dir = (name: Buffer) => explicit(4, name)
const other = (oid: string, value: Buffer) => tlv(0xa0, objectIdentifier(oid), explicit(0, value))
const PRINCIPAL = '1.3.6.1.4.1.311.20.2.3'
const UTF8_MAILBOX = '1.3.6.1.5.5.7.8.9'

interface Bounds {
  readonly permitted?: readonly Buffer[]
  readonly excluded?: readonly Buffer[]
}

function constraints({ permitted = [], excluded = [] }: Bounds, ...more: Buffer[]): Buffer {
  const part = (tag: number, bases: readonly Buffer[]) =>
    bases.length > 0 ? [tlv(0xa0 + tag, ...bases.map((base) => sequence(base, ...more)))] : []
  return extension('2.5.29.30', sequence(...part(0, permitted), ...part(1, excluded)), true)
}

const rootWith = (bounds: Bounds) => authority('root', { extensions: [constraints(bounds)] })
const clientOf = (by: Authority, subject: Buffer, names: readonly Buffer[]) =>
  by.client('client', { subject, extensions: names.length > 0 ? [extension('2.5.29.17', sequence(...names))] : [] })

const ours = (...chain: Issued[]) => nameViolations(chain.map(({ der }) => readCertificate(der)))

/** Whom of them OpenSSL accepts. */
async function accepted(
  root: Authority,
  clients: readonly Issued[],
  between: readonly Issued[] = [],
): Promise<boolean[]> {
  const files = clients.map(({ certificate }) => temporaryFile('client.pem', certificate))
  const untrusted = temporaryFile(
    'between.pem',
    between.map(({ certificate }) => certificate).join('') || root.certificate,
  )
  const args = ['verify', '-CAfile', temporaryFile('root.pem', root.certificate), '-untrusted', untrusted, ...files]
  const { stdout } = await run('openssl', args)
  const good = new Set(stdout.split('\n').flatMap((line) => /^(.*): OK$/.exec(line)?.[1] ?? []))
  return files.map((file) => good.has(file))
}

const printable = (value: string) => tlv(0x13, Buffer.from(value))
const BASES = [
  ...['', 'example.test', '.example.test', 'EXAMPLE.test', 'a.example.test', 'test'].map(dns),
  ...['', 'ada@example.test', 'example.test', '.example.test', '@example.test', 'Ada@EXAMPLE.test'].map(email),
  ...['example.test', '.example.test', 'A.example.test'].map(uri),
  ...[
    ip(10, 0, 0, 0, 255, 0, 0, 0),
    ip(10, 1, 2, 3, 255, 255, 255, 255),
    ip(0, 0, 0, 0, 0, 0, 0, 0),
    ip(...Array(32).fill(0)),
  ],
  ...[
    nameOf(),
    nameOf(['O', 'Acme']),
    nameOf(['C', 'DE'], ['O', 'acme']),
    nameOf(['O', 'Acme'], ['OU', 'a  B ']),
    nameOf([
      ['O', 'Acme'],
      ['OU', 'x'],
    ]),
  ].map(dir),
]
const NAMES = [
  ...[
    'example.test',
    'a.example.test',
    'evilexample.test',
    'A.EXAMPLE.TEST',
    '*.example.test',
    'b.a.example.test',
    'test',
    'x',
  ].map(dns),
  ...[
    'ada@example.test',
    'ADA@example.test',
    'ada@EXAMPLE.test',
    'eve@a.example.test',
    'eve@evil.test',
    'a@b@example.test',
    'nobody',
  ].map(email),
  ...[
    'https://example.test/x',
    'spiffe://a.example.test/ns/x',
    'https://example.test:8443/',
    'HTTPS://A.EXAMPLE.TEST',
    'https://evil.test/example.test',
    'https://example.test.evil.test',
  ].map(uri),
  ...[ip(10, 1, 2, 3), ip(11, 0, 0, 1), ip(...Array(16).fill(1))],
  ...[nameOf(['O', 'Acme']), nameOf(['O', 'Evil'], ['O', 'Acme'])].map(dir),
]
const SUBJECTS = [
  nameOf(),
  nameOf(['CN', 'ada']),
  nameOf(['CN', 'host.example.test']),
  nameOf(['CN', 'a.EXAMPLE.test.']),
  nameOf(['CN', 'evil.test']),
  nameOf(['CN', 'Dr. Eve A. Doe']),
  nameOf(['O', 'Acme'], ['CN', 'ada']),
  nameOf(['O', printable('ACME')], ['OU', printable(' A b')], ['CN', 'ada']),
  nameOf(['O', 'Acme\\,O=x'], ['CN', 'ada']),
  nameOf(['C', printable('DE')], ['O', '  aCME '], ['CN', 'evil.test']),
  nameOf(
    [
      ['O', 'acme'],
      ['OU', 'X'],
    ],
    ['CN', 'ada'],
  ),
  nameOf(['O', 'Acme'], ['emailAddress', 'ada@example.test']),
  nameOf(['emailAddress', 'eve@evil.test']),
  nameOf(['emailAddress', utf8String('ada@example.test')]),
]
const few = fc.array(fc.constantFrom(...BASES), { maxLength: 3 })
const clients = fc.array(
  fc.tuple(fc.constantFrom(...SUBJECTS), fc.array(fc.constantFrom(...NAMES), { maxLength: 3 })),
  { minLength: 12, maxLength: 12 },
)

test('names of every make are judged as OpenSSL judges them', async () => {
  const seen = { good: 0, bad: 0 }
  await fc.assert(
    fc.asyncProperty(few, few, clients, async (permitted, excluded, made) => {
      const root = rootWith({ permitted, excluded })
      const issued = made.map(([subject, names]) => clientOf(root, subject, names))
      const verdicts = await accepted(root, issued)
      for (const [i, client] of issued.entries()) {
        const violations = ours(client, root)
        expect(violations.length === 0).toBe(verdicts[i])
        seen[violations.length === 0 ? 'good' : 'bad']++
      }
    }),
    { numRuns: 40 },
  )
  // Or nothing would have been compared.
  expect(Math.min(seen.good, seen.bad)).toBeGreaterThan(50)
})

const acme = nameOf(['O', 'Acme'], ['CN', 'ada'])

describe('what could be read in two ways is refused, also where OpenSSL takes one of them', () => {
  const excluded = (base: Buffer, ...names: Buffer[]) => {
    const root = rootWith({ excluded: [base] })
    return ours(clientOf(root, acme, names), root)
  }

  test.each<[string, Buffer, Buffer]>([
    ['a user before the host', uri('evil.test'), uri('https://example.test@evil.test/')],
    ['a colon in the path', uri('evil.test'), uri('https://evil.test/a:b')],
    ['a URI without a host', uri('evil.test'), uri('urn:evil.test')],
    ['a NUL in a DNS name', dns('evil.test'), dns('good.test\0.evil.test')],
    ['a NUL in an address', email('evil.test'), email('eve@evil.test\0.good.test')],
    ['an address of odd length', ip(10, 0, 0, 0, 255, 0, 0, 0), ip(10, 0, 0)],
    ['an address in UTF-8', email('evil.test'), other(UTF8_MAILBOX, utf8String('eve@evil.test'))],
    [
      'a principal, of whom nobody can tell',
      other(PRINCIPAL, utf8String('x')),
      other(PRINCIPAL, utf8String('eve@evil.test')),
    ],
    ['a registered identifier', implicit(8, Buffer.from([42, 3])), implicit(8, Buffer.from([42, 4]))],
  ])('%s', (_what, base, name) => {
    expect(excluded(base, name)).toMatchObject([{ at: 0 }])
    // Nothing else is wrong with it.
    expect(excluded(dir(nameOf(['O', 'Other'])), name)).toEqual([])
  })

  test('a minimum, which RFC 5280 lets nobody use', () => {
    const minimum = implicit(0, Buffer.from([1]))
    const root = authority('root', { extensions: [constraints({ permitted: [dir(nameOf(['O', 'Acme']))] }, minimum)] })
    expect(ours(clientOf(root, acme, []), root)).toMatchObject([{ at: 0 }])
  })

  test.each([
    ['cannot be read', rawInteger(Buffer.from([1]))],
    ['are neither', sequence(implicit(0, sequence(implicit(2, Buffer.from('example.test')))))],
  ])('constraints that %s', (_what, value) => {
    const root = authority('root', { extensions: [extension('2.5.29.30', value, true)] })
    expect(ours(clientOf(root, acme, []), root)).toMatchObject([
      { detail: expect.stringContaining('cannot be judged') },
    ])
  })

  test('more names than could be compared in a moment', () => {
    const many = (count: number) => Array.from({ length: count }, (_, i) => dns(`${i}.example.test`))
    const root = rootWith({ permitted: many(600) })
    expect(ours(clientOf(root, acme, many(500)), root)).toMatchObject([{ detail: expect.stringContaining('too many') }])
  })
})

// Strangers get here, where OpenSSL is not told of an authority: a thousand names and a thousand subtrees held everything up for twelve seconds.
test.each<[string, (value: string) => Buffer]>([
  ['DNS names', dns],
  ['e-mail addresses', (value) => email(`ada@${value}`)],
  ['URIs', (value) => uri(`https://${value}`)],
  ['directory names', (value) => dir(nameOf(['O', value]))],
])('%s are read once, and not for each comparison', (_what, made) => {
  const many = (what: string) => Array.from({ length: 100 }, (_, i) => made(`${what}${i}.test`))
  const root = rootWith({ excluded: many('a') })
  const client = clientOf(root, acme, many('b'))
  const replace = jest.spyOn(String.prototype, 'replace')
  try {
    expect(ours(client, root)).toEqual([])
    expect(replace.mock.calls.length).toBeLessThan(1000)
  } finally {
    replace.mockRestore()
  }
})

test('NULs at the end of a common name are cut off, and nowhere else, in one pass', () => {
  const root = rootWith({ excluded: [dns('example.test')] })
  const named = (value: string) => ours(clientOf(root, nameOf(['CN', value]), []), root)
  expect(named('example.test\0\0')).toMatchObject([{ detail: expect.stringContaining('DNS name') }])
  expect(named(`other.test${'\0'.repeat(3)}`)).toEqual([])
  // Ten seconds by a regular expression, which begins at each NUL anew.
  expect(named(`${'\0'.repeat(100_000)}x`)).toMatchObject([{ detail: expect.stringContaining('cannot be read') }])
})

describe('along a chain', () => {
  const acmeOnly = { permitted: [dir(nameOf(['O', 'Acme']))] }
  const between = (root: Authority, name: Buffer) => root.authority('one', { subject: name })

  test('an intermediate is held to them too', async () => {
    const root = rootWith(acmeOnly)
    const [good, bad] = [between(root, nameOf(['O', 'Acme'], ['CN', 'one'])), between(root, nameOf(['CN', 'one']))]
    const [ada, eve] = [clientOf(good, acme, []), clientOf(bad, acme, [])]
    expect([await accepted(root, [ada], [good]), await accepted(root, [eve], [bad])]).toEqual([[true], [false]])
    expect(ours(ada, good, root)).toEqual([])
    expect(ours(eve, bad, root)).toMatchObject([
      { at: 1, detail: expect.stringContaining('forbid its directory name') },
    ])
  })

  test('but not one that an authority made for itself', async () => {
    const root = authority('root', { extensions: [constraints(acmeOnly)] })
    const rolledOver = between(root, nameOf(['CN', 'root']))
    const ada = clientOf(rolledOver, acme, [])
    expect(await accepted(root, [ada], [rolledOver])).toEqual([true])
    expect(ours(ada, rolledOver, root)).toEqual([])
  })

  test('each authority narrows what those above it permit', async () => {
    const root = rootWith({ permitted: [dns('example.test')] })
    const one = root.authority('one', { extensions: [constraints({ excluded: [dns('a.example.test')] })] })
    const made = ['b.example.test', 'a.example.test', 'b.test'].map((name) => clientOf(one, nameOf(), [dns(name)]))
    expect(await accepted(root, made, [one])).toEqual([true, false, false])
    expect(made.map((client) => ours(client, one, root).length)).toEqual([0, 1, 1])
  })
})

test('an IA5String is what a subject has for an address', () => {
  const root = rootWith({ permitted: [email('example.test')] })
  expect(ours(clientOf(root, nameOf(['emailAddress', ia5String('ada@example.test')]), []), root)).toEqual([])
})
