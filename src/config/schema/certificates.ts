/** Kong's certificates, the server names that they serve, and authorities for upstreams. */
import * as z from 'zod'
import type { Problem } from '../../errors.ts'
import { type PemSource, pem } from '../pem.ts'
import { type Secret, secret } from '../secret.ts'
import { wildcardName } from './addresses.ts'
import { entity, field, type Kind, type Located } from './field.ts'
import { foreignKey } from './foreign-key.ts'
import { text } from './scalars.ts'

const sniName: Kind<string> = {
  ...wildcardName,
  expected: 'a name such as www.example.com, *.example.com, www.example.* or *',
  parse: (value) => (value === '*' ? value : wildcardName.parse(value)),
}

const sniFields = {
  name: field(sniName, { required: true, about: 'The server name; * stands for every other name.' }),
}

/** As it nests in a certificate. */
const nestedSni = entity('A server name of this certificate.', sniFields)

export const sni = entity('A server name and the certificate that serves it.', {
  ...sniFields,
  certificate: field(foreignKey('a certificate'), { required: true, about: 'The certificate.' }),
})

export const certificate = entity('A certificate with its key, for a server or for the way out.', {
  name: field(text, { about: "A name for references to it; Kong's certificates have an id only." }),
  cert: field(pem, { required: true, about: 'The certificate, followed by its intermediate certificates.' }),
  key: field(pem, { required: true, secret: true, about: 'Its private key.' }),
  cert_alt: field(pem, { about: 'A second certificate for the same names, with a key of another type.' }),
  key_alt: field(pem, { secret: true, about: 'The private key of cert_alt.' }),
  passphrase: field(secret, { secret: true, about: 'The passphrase of key and key_alt.' }),
  snis: z.array(nestedSni).prefault([]).describe('The server names that it serves.'),
})

export const caCertificate = entity('An authority that may have issued the certificates of upstreams.', {
  name: field(text, { about: "A name for references to it; Kong's have an id only." }),
  cert: field(pem, { required: true, about: 'The certificate of the authority.' }),
  cert_digest: field(text, { about: 'Accepted and not used: computed from cert.' }),
})

export type WrittenCertificate = z.output<typeof certificate> & Located
export type WrittenSni = z.output<typeof sni> & Located

/** A certificate as it is used. */
export interface CertificateConfig extends Located {
  readonly id: string | undefined
  /** Its name, else its id, else where it stands. */
  readonly name: string
  readonly cert: PemSource
  readonly key: PemSource
  readonly cert_alt: PemSource | undefined
  readonly key_alt: PemSource | undefined
  readonly passphrase: Secret | undefined
  /** Lower case: exact, `*.example.com`, `www.example.*`, or `*` for every other name. */
  readonly snis: readonly string[]
}

export interface CaCertificateConfig extends Located {
  readonly id: string | undefined
  /** Its name, else its id, else where it stands. */
  readonly name: string
  readonly cert: PemSource
}

export function checkCertificate(given: WrittenCertificate): Problem[] {
  const { at, name, cert_alt: cert, key_alt: key } = given
  const problems: Problem[] = []
  if (name === NO_CERTIFICATE) {
    problems.push({
      path: `${at}.name`,
      message: `"${NO_CERTIFICATE}" means "no certificate" in services; choose another name`,
    })
  }
  if (cert && !key) problems.push({ path: `${at}.cert_alt`, message: 'has no key: set key_alt too' })
  if (key && !cert) problems.push({ path: `${at}.key_alt`, message: 'has no certificate: set cert_alt too' })
  return problems
}

/** What a service writes to present no certificate. */
export const NO_CERTIFICATE = 'none'
