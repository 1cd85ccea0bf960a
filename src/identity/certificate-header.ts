/** Reads the client's certificate from a header, as written by a load balancer that has terminated the client's TLS. */
import { GatewayError } from '../errors.ts'
import { type CertificateFacts, readCertificate } from '../tls-cert-utils/certificate.ts'
import { CertificateError } from '../tls-cert-utils/certificate-error.ts'
import { PemError, readPemBlocks } from '../tls-cert-utils/pem.ts'
import { fold } from './fold.ts'
import { parseXfcc, type XfccPair } from './xfcc.ts'

export type CertificateHeaderFormat = 'url_encoded' | 'base64_encoded' | 'pem' | 'rfc9440' | 'xfcc'

/** The client's own certificate first. */
export type SentCertificates = readonly [CertificateFacts, ...CertificateFacts[]]

export interface CertificateHeader {
  /** The headers that it reads. Only the load balancer may write them. */
  readonly names: readonly string[]
  /**
   * Their values in this request; undefined where there are none, or only empty ones.
   * @throws GatewayError GW_BAD_REQUEST where a header is repeated
   */
  valuesIn(rawHeaders: readonly string[]): readonly string[] | undefined
  /** @param values of `valuesIn`. @throws GatewayError GW_BAD_REQUEST */
  read(values: readonly string[]): SentCertificates
}

/** mod_headers writes this for an empty variable of mod_ssl. */
const APACHES_NOTHING = '(null)'

/** No client's chain is longer, and each certificate costs a signature check. */
const MOST = 10

/** @param name of the header, for the formats that leave it open */
export function createCertificateHeader(format: CertificateHeaderFormat, name: string): CertificateHeader {
  const names = format === 'rfc9440' ? ['Client-Cert', 'Client-Cert-Chain'] : [name]
  const folded = names.map(fold)
  return {
    names,
    valuesIn(rawHeaders) {
      const found = folded.map((each, i) => onlyValue(rawHeaders, each, names[i] as string))
      const values = format === 'pem' ? found.map((value) => value?.replaceAll(APACHES_NOTHING, '').trim()) : found
      if (values.some((value) => value !== undefined && value !== '')) return values.map((value) => value ?? '')
      return undefined
    },
    read: (values) => readAll(() => READERS[format](values), names[0] as string),
  }
}

function onlyValue(rawHeaders: readonly string[], folded: string, name: string): string | undefined {
  let found: string | undefined
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const candidate = rawHeaders[i] as string
    if (candidate.length !== folded.length || fold(candidate) !== folded) continue
    // A load balancer removes the header only under its exact name, so another spelling may be the client's.
    if (candidate.toLowerCase() !== name.toLowerCase())
      throw new GatewayError('GW_BAD_REQUEST', `a client has sent the certificate header ${name} in another spelling`)
    // One of the two was not written by the load balancer.
    if (found !== undefined) throw new GatewayError('GW_BAD_REQUEST', `the certificate header ${name} is there twice`)
    found = (rawHeaders[i + 1] as string).trim()
  }
  return found
}

function readAll(read: () => Buffer[], name: string): SentCertificates {
  try {
    const ders = read()
    if (ders.length > MOST) throw new Malformed(`holds more than ${MOST} certificates`)
    const [first, ...others] = ders.map(certificateOf)
    if (!first) throw new Malformed('holds no certificate')
    return [first, ...others]
  } catch (error) {
    if (!(error instanceof Malformed || error instanceof PemError || error instanceof CertificateError)) throw error
    throw new GatewayError('GW_BAD_REQUEST', `the certificate header ${name} cannot be read: it ${error.message}`)
  }
}

class Malformed extends Error {}

function certificateOf(der: Buffer): CertificateFacts {
  const certificate = readCertificate(der)
  if (certificate.raw.length !== der.length) throw new Malformed('holds something behind a certificate')
  try {
    void certificate.x509
  } catch {
    throw new Malformed('holds what OpenSSL does not take for a certificate')
  }
  return certificate
}

const READERS: Readonly<Record<CertificateHeaderFormat, (values: readonly string[]) => Buffer[]>> = {
  url_encoded: ([value = '']) => fromEscapedPem(value),
  base64_encoded: ([value = '']) => value.split(',').map((each) => fromBase64(each.trim())),
  pem: ([value = '']) => fromOneLine(value),
  rfc9440: ([certificate = '', chain = '']) => [
    fromByteSequence(certificate),
    ...(chain === '' ? [] : chain.split(',').map((each) => fromByteSequence(each.trim()))),
  ],
  xfcc: ([value = '']) => fromXfcc(value),
}

/** nginx's `$ssl_client_escaped_cert`, and AWS's, which leaves `+`, `=` and `/` as they are. */
function fromEscapedPem(value: string): Buffer[] {
  if (!/^(?:[\w.~+/=-]|%[0-9A-Fa-f]{2})*$/.test(value)) throw new Malformed('is not percent-encoded')
  const text = unescaped(value)
  const blocks = readPemBlocks(text)
  const isAll = text.replaceAll(/-----BEGIN [^-]*-----[^-]*-----END [^-]*-----\s*/g, '') === ''
  if (!isAll || blocks.some(({ label, der }) => label !== 'CERTIFICATE' || der.length === 0)) {
    throw new Malformed('holds something besides certificates')
  }
  return blocks.map(({ der }) => der)
}

const ONE_LINE = /-----BEGIN CERTIFICATE----- ([A-Za-z0-9+/= ]+) -----END CERTIFICATE-----/g

/** Apache's `%{SSL_CLIENT_CERT}s`: the line ends have become blanks. */
function fromOneLine(value: string): Buffer[] {
  if (value.replaceAll(ONE_LINE, '').trim() !== '') throw new Malformed('is no PEM of certificates on one line')
  return [...value.matchAll(ONE_LINE)].map(([, content = '']) => fromBase64(content.replaceAll(' ', '')))
}

function unescaped(value: string): string {
  try {
    return decodeURIComponent(value)
  } catch {
    throw new Malformed('is not percent-encoded UTF-8')
  }
}

function fromBase64(value: string): Buffer {
  if (!/^(?:[A-Za-z0-9+/]{4})+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(value))
    throw new Malformed('is not base64')
  return Buffer.from(value, 'base64')
}

/** RFC 8941 3.3.5, without parameters. */
function fromByteSequence(value: string): Buffer {
  const content = /^:([^:]*):$/.exec(value)?.[1]
  if (content === undefined) throw new Malformed('is no byte sequence of RFC 8941')
  return fromBase64(content)
}

/** Exactly one element: a second one belongs to another hop, and it is unknown who wrote it. */
function fromXfcc(value: string): Buffer[] {
  const [pairs, ...more] = parseXfcc(value) ?? []
  if (!pairs) throw new Malformed('is no XFCC that can be read in one way only')
  if (more.length > 0) throw new Malformed('holds more than one element: let the load balancer SANITIZE_SET it')
  const certificate = fromPair(pairs, 'cert')
  const chain = fromPair(pairs, 'chain')
  const [leaf] = certificate ?? chain ?? []
  if (!leaf) throw new Malformed('holds neither Cert nor Chain; the load balancer must set them')
  if ((certificate?.length ?? 1) !== 1 || (chain?.[0] && !chain[0].equals(leaf))) {
    throw new Malformed('names two certificates')
  }
  const hash = onlyPair(pairs, 'hash')
  if (hash !== undefined && hash.toLowerCase() !== readCertificate(leaf).fingerprintSha256) {
    throw new Malformed('names another Hash than that of its certificate')
  }
  return chain ?? [leaf]
}

function fromPair(pairs: readonly XfccPair[], key: string): Buffer[] | undefined {
  const value = onlyPair(pairs, key)
  return value === undefined ? undefined : fromEscapedPem(value)
}

function onlyPair(pairs: readonly XfccPair[], key: string): string | undefined {
  const found = pairs.filter(([each]) => each === key)
  if (found.length > 1) throw new Malformed(`holds ${key} twice`)
  return found[0]?.[1]
}
