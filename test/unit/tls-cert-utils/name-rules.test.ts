import { describe, expect, test } from '@jest/globals'
import { readCertificate } from '../../../src/tls-cert-utils/certificate.ts'
import { compileNameRules, type NameRule } from '../../../src/tls-cert-utils/name-rules.ts'
import { bmpString, printableString } from '../../support/der.ts'
import { nameOf } from '../../support/names.ts'
import { authority, type CertificateOptions } from '../../support/pki.ts'

const root = authority('Example CA', { subject: nameOf(['C', 'DE'], ['O', 'Example'], ['CN', 'Example CA']) })

function isAllowed(rules: readonly NameRule[], options: CertificateOptions): boolean {
  return compileNameRules(rules)(readCertificate(root.client('x', options).der))
}

const ada = {
  subject: nameOf(
    ['C', 'DE'],
    [
      ['OU', 'ops'],
      ['OU', 'night'],
    ],
    ['CN', 'ada'],
  ),
  hosts: ['Ada.Example.test', '10.1.2.3', '::1'],
  uris: ['spiffe://example.test/ns/prod/sa/ada'],
  emails: ['ada@example.test'],
}

describe('a rule lets a certificate in', () => {
  test.each<[string, NameRule]>([
    ['by an attribute of the subject', { subject: { CN: ['ada'] } }],
    ['by one of several values', { subject: { CN: ['bob', 'ada'] } }],
    ['by one of several attributes of one kind', { subject: { OU: ['night'] } }],
    ['by an object identifier', { subject: { '2.5.4.3': ['ada'] } }],
    ['by its issuer', { issuer: { O: ['Example'], CN: ['Example *'] } }],
    ['by a DNS name, whatever its letter case', { san: { dns: ['*.example.TEST'] } }],
    ['by a URI', { san: { uri: ['spiffe://example.test/ns/*/sa/*'] } }],
    ['by an e-mail address', { san: { email: ['*@example.test'] } }],
    ['by an address', { san: { ip: ['10.1.2.3'] } }],
    ['by a network', { san: { ip: ['10.0.0.0/8'] } }],
    ['by an IPv6 network', { san: { ip: ['::/64'] } }],
    ['where all of its parts fit', { subject: { CN: ['ada'], OU: ['ops'] }, san: { dns: ['ada.example.test'] } }],
  ])('%s', (_how, rule) => {
    expect(isAllowed([rule], ada)).toBe(true)
    expect(isAllowed([{ subject: { CN: ['nobody'] } }, rule], ada)).toBe(true)
  })
})

describe('a rule keeps a certificate out', () => {
  test.each<[string, NameRule, CertificateOptions]>([
    ['where one part does not fit', { subject: { CN: ['ada'], OU: ['admins'] } }, ada],
    [
      'that hides the name in another attribute',
      { subject: { CN: ['admin'] } },
      { subject: nameOf(['O', 'CN=admin']) },
    ],
    ['that writes it into the same one', { subject: { CN: ['admin'] } }, { subject: nameOf(['CN', 'x,CN=admin']) }],
    ['whose e-mail address looks like a DNS name', { san: { dns: ['example.test'] } }, { emails: ['example.test'] }],
    ['whose DNS name looks like an address', { san: { ip: ['10.1.2.3'] } }, { hosts: ['x10.1.2.3'] }],
    ['whose common name looks like a DNS name', { san: { dns: ['ada'] } }, { subject: nameOf(['CN', 'ada']) }],
    ['with a NUL in its name', { san: { dns: ['*.example.test'] } }, { hosts: ['evil\0.example.test'] }],
    ['with a NUL in its common name', { subject: { CN: ['admin*'] } }, { subject: nameOf(['CN', 'admin\0x']) }],
    ['of a wider network', { san: { ip: ['10.0.0.0/16'] } }, ada],
    ['by a rule that names nothing', {}, ada],
    ['by a rule that names an attribute without values', { subject: { CN: [] } }, ada],
  ])('%s', (_how, rule, options) => {
    expect(isAllowed([rule], options)).toBe(false)
  })

  test('where there is no rule at all', () => {
    expect(isAllowed([], ada)).toBe(false)
  })
})

test('the type in which an authority wrote a text does not matter', () => {
  const rules = [{ subject: { CN: ['ada'] } }]
  expect(isAllowed(rules, { subject: nameOf(['CN', bmpString('ada')]) })).toBe(true)
  expect(isAllowed(rules, { subject: nameOf(['CN', printableString('ada')]) })).toBe(true)
})
