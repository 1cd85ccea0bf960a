import { expect, test } from '@jest/globals'
import { headerName } from '../../../../src/config/schema/identity-headers.ts'

test.each([
  'X-Client-Certificate',
  'X-SSL-Client-Escaped-Cert',
  'ssl-client-cert',
  'X-Amzn-Mtls-Clientcert',
  'X-Amzn-Mtls-Clientcert-Leaf',
  'X-Forwarded-Tls-Client-Cert',
  'X-Forwarded-Client-Cert',
  'Cf-Client-Cert-Der-Base64',
])('%s, which load balancers use, may hold the certificate', (name) => {
  expect(headerName.parse(name)).toBe(name)
})

test.each([
  'Host',
  'content-length',
  'X-Forwarded-For',
  'x_forwarded_proto',
  'Authorization',
  'Cookie',
  'X Cert',
  '',
  7,
])('%p, which HTTP or the gateway needs, may not', (name) => {
  expect(() => headerName.parse(name)).toThrow()
})
