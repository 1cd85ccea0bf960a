import type { KeyObject } from 'node:crypto'
import type { CertificateFacts } from './certificate.ts'
import { readElement, readOid, TAG } from './der.ts'
import {
  BASIC_CONSTRAINTS,
  type CertificateExtension,
  CLIENT_AUTHENTICATION,
  EXTENDED_KEY_USAGE,
  KEY_USAGE,
  readBasicConstraints,
  readExtendedKeyUsage,
  readExtensions,
  readKeyUsage,
  SERVER_AUTHENTICATION,
} from './extensions.ts'

/** What a certificate may be used for, as OpenSSL reads it (crypto/x509/v3_purp.c). */
export interface CertificateUse {
  readonly isAuthority: boolean
  /** The purpose "SSL server". */
  readonly mayBeServer: boolean
  /** The purpose "SSL client". */
  readonly mayBeClient: boolean
  /** The purpose "SSL client CA". */
  readonly mayIssueClients: boolean
  /** False only where keyUsage is there and lacks keyCertSign. */
  readonly maySign: boolean
  /** The same for cRLSign. */
  readonly maySignLists: boolean
  readonly pathLength: number | undefined
  /** A critical extension that OpenSSL does not handle. */
  readonly unknownCritical: string | undefined
  /** Less than 112 bits of security: RSA and DSA below 2048 bits, curves below 224. */
  readonly hasWeakKey: boolean
  /** Explicit curve parameters, whatever they claim to be: such a curve may have been made to be weak. */
  readonly describesCurve: boolean
  /** MD5 or SHA-1. */
  readonly hasWeakSignature: boolean
}

const NETSCAPE_TYPE = '2.16.840.1.113730.1.1'

/** Those of OpenSSL's X509_supported_extension. */
const HANDLED: ReadonlySet<string> = new Set([
  NETSCAPE_TYPE,
  '2.5.29.15',
  '2.5.29.17',
  '2.5.29.19',
  '2.5.29.31',
  '2.5.29.32',
  '2.5.29.33',
  '2.5.29.35',
  '2.5.29.36',
  '2.5.29.37',
  '2.5.29.30',
  '2.5.29.54',
  '1.3.6.1.5.5.7.1.7',
  '1.3.6.1.5.5.7.1.8',
  '1.3.6.1.5.5.7.1.14',
  '1.3.6.1.5.5.7.48.1.5',
])

/** A certificate with unreadable extensions may be used for nothing. */
export function useOf(certificate: CertificateFacts): CertificateUse {
  const { signatureAlgorithm = '' } = certificate.x509
  const hasWeakSignature = isWeakSignature(signatureAlgorithm)
  try {
    return {
      ...extensionsOf(certificate),
      hasWeakKey: isWeak(certificate.x509.publicKey),
      describesCurve: describesCurve(certificate),
      hasWeakSignature,
    }
  } catch {
    return { ...NOTHING, hasWeakSignature }
  }
}

/** Whether OpenSSL may refuse to show it, by its key or how it is signed: what it takes hangs on its security level (`@SECLEVEL` in ciphers(1)). */
export function isDoubtful({ x509 }: CertificateFacts): boolean {
  const { publicKey, signatureAlgorithm = '' } = x509
  return !USUAL_KEYS.has(publicKey.asymmetricKeyType ?? '') || isWeak(publicKey) || isWeakSignature(signatureAlgorithm)
}

const USUAL_KEYS: ReadonlySet<string> = new Set(['rsa', 'ec', 'ed25519'])

function isWeakSignature(algorithm: string): boolean {
  return /md[245]|sha-?1(?!\d)/i.test(algorithm)
}

const NOTHING = {
  isAuthority: false,
  mayBeServer: false,
  mayBeClient: false,
  mayIssueClients: false,
  maySign: false,
  maySignLists: false,
  pathLength: undefined,
  unknownCritical: undefined,
  hasWeakKey: true,
  describesCurve: false,
}

function extensionsOf(
  certificate: CertificateFacts,
): Omit<CertificateUse, 'hasWeakKey' | 'hasWeakSignature' | 'describesCurve'> {
  const extensions = readExtensions(certificate.raw)
  const contentOf = (oid: string) => extensions.find((extension) => extension.oid === oid)?.value
  const [constraints, usage, purposes] = [BASIC_CONSTRAINTS, KEY_USAGE, EXTENDED_KEY_USAGE].map(contentOf)
  const usages = usage && readKeyUsage(usage)
  const isFor = (purpose: string) => purposes === undefined || readExtendedKeyUsage(purposes).includes(purpose)
  const isForClients = isFor(CLIENT_AUTHENTICATION)
  const { isAuthority: isDeclared, pathLength } = constraints
    ? readBasicConstraints(constraints)
    : { isAuthority: false, pathLength: undefined }
  const maySign = usages?.includes('keyCertSign') ?? true
  // Roots of X.509 version 1, which have no extensions, count as CAs; those of version 3 without any do not. With keyUsage alone, OpenSSL also takes
  // a certificate for a CA.
  const isOldAuthority = !constraints && (usages ? true : certificate.selfIssued && isVersion1(certificate.raw))
  const isAuthority = maySign && (isDeclared || isOldAuthority)
  return {
    isAuthority,
    mayBeServer:
      isFor(SERVER_AUTHENTICATION) &&
      (usages === undefined || usages.some((each) => SERVER_KEY_USAGES.has(each))) &&
      allowsNetscapeType(extensions, NETSCAPE.server),
    mayBeClient:
      isForClients &&
      (usages === undefined || usages.some((each) => CLIENT_KEY_USAGES.has(each))) &&
      allowsNetscapeType(extensions, NETSCAPE.client),
    mayIssueClients: isForClients && isAuthority,
    maySign,
    maySignLists: usages?.includes('cRLSign') ?? true,
    pathLength,
    unknownCritical: extensions.find(({ oid, isCritical }) => isCritical && !HANDLED.has(oid))?.oid,
  }
}

/** Bits of the Netscape type, which OpenVPN's easy-rsa wrote for long. */
export const NETSCAPE = { client: 0x80, server: 0x40, authority: 0x04 } as const

/** @throws {DerError} where the type cannot be read */
export function allowsNetscapeType(extensions: readonly CertificateExtension[], use: number): boolean {
  const found = extensions.find(({ oid }) => oid === NETSCAPE_TYPE)
  if (!found) return true
  const [, bits = 0] = readElement(found.value).expect(TAG.BIT_STRING, 'the Netscape type').content
  return (bits & use) !== 0
}

/** The version is left out where it is the first (RFC 5280 4.1). */
function isVersion1(certificate: Uint8Array): boolean {
  const [signed] = readElement(certificate).children()
  const [first] = signed?.children() ?? []
  return first !== undefined && first.tag !== 0xa0
}

const SERVER_KEY_USAGES: ReadonlySet<string> = new Set(['digitalSignature', 'keyEncipherment', 'keyAgreement'])
const CLIENT_KEY_USAGES: ReadonlySet<string> = new Set(['digitalSignature', 'keyAgreement'])

function isWeak(key: KeyObject): boolean {
  const { modulusLength, namedCurve } = key.asymmetricKeyDetails ?? {}
  if (modulusLength !== undefined) return modulusLength < 2048
  return /^(secp|prime|sect)(112|113|128|131|160|163|192|193)/.test(namedCurve ?? '')
}

const EC_PUBLIC_KEY = '1.2.840.10045.2.1'

/** The parameters of RFC 5480 2.1.1: an identifier, or anything else. */
function describesCurve({ publicKeyInfo }: CertificateFacts): boolean {
  const [algorithm] = readElement(publicKeyInfo).children()
  const [type, parameters] = algorithm?.children() ?? []
  return type !== undefined && readOid(type.content) === EC_PUBLIC_KEY && parameters?.tag !== TAG.OID
}
